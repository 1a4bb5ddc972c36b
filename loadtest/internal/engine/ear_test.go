package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
)

const ms = time.Millisecond

var epoch = time.Unix(1000, 0)

// gap ends at a time from the start of the run.
func gap(end, length time.Duration, kind peer.Kind) peer.Gap {
	return peer.Gap{Start: epoch.Add(end - length), Duration: length, Kind: kind}
}

func TestEar(t *testing.T) {
	for name, c := range map[string]struct {
		heard []peer.Gap
		// kept are the lengths of the gaps that are kept.
		kept   []time.Duration
		counts map[tally.Class]int
	}{
		"the longest of each second": {
			heard: []peer.Gap{gap(100*ms, 20*ms, 0), gap(140*ms, 40*ms, 0), gap(160*ms, 20*ms, 0), gap(1100*ms, 25*ms, 0), gap(3500*ms, 21*ms, 0)},
			kept:  []time.Duration{40 * ms, 25 * ms, 21 * ms},
		},
		"each bound by itself": {
			heard: []peer.Gap{gap(500*ms, 70*ms, 0), gap(900*ms, 210*ms, 0), gap(2500*ms, 1500*ms, 0)},
			kept:  []time.Duration{210 * ms, 1500 * ms},
			counts: map[tally.Class]int{
				tally.GapOver60ms: 3, tally.MediaInterruption: 2, tally.GapOver1s: 1,
			},
		},
		"silence is no gap, and loss is": {
			heard:  []peer.Gap{gap(900*ms, 800*ms, peer.Silence), gap(1900*ms, 300*ms, peer.Loss)},
			kept:   []time.Duration{300 * ms},
			counts: map[tally.Class]int{tally.GapOver60ms: 1, tally.MediaInterruption: 1},
		},
		"one that is open at the end is cut there, and nothing comes after": {
			heard:  []peer.Gap{gap(9900*ms, 20*ms, 0), gap(13*time.Second, 3500*ms, 0), gap(14*time.Second, time.Second, 0)},
			kept:   []time.Duration{500 * ms},
			counts: map[tally.Class]int{tally.GapOver60ms: 1, tally.MediaInterruption: 1},
		},
	} {
		r := tally.NewRecorder(0, 10*time.Second, nil)
		e := &ear{epoch: epoch, end: 10 * time.Second, threshold: 200 * ms, recorder: r}
		for _, g := range c.heard {
			e.hear(g)
		}
		e.finish()
		e.hear(gap(9*time.Second, 5*time.Second, 0))
		records, _ := tally.Merge([]*tally.Recorder{r})
		var kept []time.Duration
		for _, g := range records.Gaps {
			require.Less(t, g.At, 10*time.Second, name)
			kept = append(kept, g.Duration)
		}
		require.Equal(t, c.kept, kept, name)
		counts := map[tally.Class]int{}
		for _, o := range records.Occurrences {
			counts[o.Class]++
		}
		if c.counts == nil {
			c.counts = map[tally.Class]int{}
		}
		require.Equal(t, c.counts, counts, name)
	}
}
