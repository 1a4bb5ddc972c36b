package chart

import (
	"math"
	"strconv"
)

// scale turns a value into a coordinate.
type scale struct {
	from, to   float64 // values
	start, end float64 // coordinates
	log        bool
}

func (s scale) at(v float64) float64 {
	v = min(max(v, s.from), s.to)
	if s.to <= s.from {
		return s.start
	}
	return s.start + s.share(v)*(s.end-s.start)
}

func (s scale) share(v float64) float64 {
	if s.log {
		return math.Log(v/s.from) / math.Log(s.to/s.from)
	}
	return (v - s.from) / (s.to - s.from)
}

// LogShare is where v lies between from and to on a logarithmic axis, 0 to 1.
func LogShare(v, from, to float64) float64 {
	return scale{from: from, to: to, end: 1, log: true}.at(v)
}

// LogTicks are the values 1, 2 and 5 times a power of ten between from and to, both included; only the powers of ten where there
// would be more than seven.
func LogTicks(from, to float64) []float64 {
	fine, coarse := []float64{}, []float64{}
	for p := math.Pow(10, math.Floor(math.Log10(from))); p <= to*1.0001; p *= 10 {
		for _, m := range []float64{1, 2, 5} {
			v := p * m
			if v < from*0.9999 || v > to*1.0001 {
				continue
			}
			fine = append(fine, v)
			if m == 1 {
				coarse = append(coarse, v)
			}
		}
	}
	const most = 7
	if len(fine) > most && len(coarse) > 1 {
		return coarse
	}
	return fine
}

// LogBounds widens a range to the next 1, 2 or 5 times a power of ten on either side. low must be above 0.
func LogBounds(low, high float64) (from, to float64) {
	from = math.Pow(10, math.Floor(math.Log10(low)))
	to = math.Pow(10, math.Ceil(math.Log10(max(high, low))))
	for _, m := range []float64{5, 2} {
		if from*m <= low {
			from *= m
			break
		}
	}
	for _, m := range []float64{5, 2} {
		if to/m >= high {
			to /= m
			break
		}
	}
	if to <= from {
		to = 10 * from
	}
	return from, to
}

// Ticks are at most about most values at a round step, from 0 to to.
func Ticks(to float64, most int) []float64 {
	if to <= 0 || most < 1 {
		return []float64{0}
	}
	raw := to / float64(most)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * power
	for _, s := range []float64{1, 2, 5} { // steps that people count in
		if s*power >= raw {
			step = s * power
			break
		}
	}
	var out []float64
	for v := 0.0; v <= to*1.0001; v += step {
		out = append(out, v)
	}
	return out
}

// Millis labels a tick of milliseconds: 50 ms, 1 s.
func Millis(v float64) string {
	if v >= 1000 {
		return strconv.FormatFloat(v/1000, 'g', 4, 64) + " s"
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + " ms"
}
