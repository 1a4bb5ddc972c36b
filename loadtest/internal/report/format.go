package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/figures"
)

// absent stands for what was not measured.
const absent = "–"

// count formats n with separators between thousands: 12,345.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func countOr(n uint64, ok bool) string {
	if !ok {
		return absent
	}
	return count(n)
}

// millis formats a duration in milliseconds with three figures at most and no unit.
func millis(v float64) string {
	switch {
	case v < 0.01:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case v < 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 9.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return count(uint64(math.Round(v)))
	}
}

func millisOr(r figures.Range, ok bool) string {
	if !ok {
		return absent
	}
	return millis(r.Median)
}

// spread is a range's ends where several repeats have the figure and differ, else empty.
func spread(r figures.Range) string {
	if r.Runs < 2 || millis(r.Low) == millis(r.High) {
		return ""
	}
	return millis(r.Low) + "–" + millis(r.High)
}

// rate formats a rate or a mean with no more digits than it deserves.
func rate(v float64) string {
	if v >= 99.95 || v == math.Trunc(v) {
		return count(uint64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// percent formats a share between 0 and 1.
func percent(share float64) string {
	return strconv.FormatFloat(100*share, 'f', 1, 64) + "%"
}

// took formats a duration in milliseconds for reading: 350 ms, 4.2 s, 3 min.
func took(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d < time.Second:
		return millis(ms) + " ms"
	case d < 2*time.Minute:
		return rate(math.Round(d.Seconds()*10)/10) + " s"
	default:
		return rate(math.Round(d.Minutes()*10)/10) + " min"
	}
}

// plural is "1 call", "2 calls".
func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// moved is "131/131 of 168": sessions that moved, that should have, and that were observed.
func moved(m figures.Moved, ok bool) string {
	if !ok {
		return absent
	}
	predicted := absent
	if m.HasPrediction {
		predicted = count(m.Predicted)
	}
	return fmt.Sprintf("%s/%s of %s", count(m.Moved), predicted, count(m.Observed))
}

// className is a count's name for people: media_interruptions becomes "media interruptions".
func className(name string) string {
	return strings.ReplaceAll(name, "_", " ")
}
