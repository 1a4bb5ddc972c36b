package engine

import (
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/measure"
)

// usage takes what the generator has used by the end of the measured part. A run that ended in its warm-up used nothing in it.
func (m *measurement) usage(phones Switchboard) {
	m.mediaLag = phones.Lag()
	if after, err := self(); err != nil {
		m.usageErr = err
	} else if m.usageBefore != (usage{}) {
		m.usageAfter = after
	}
}

// generator says whether the measuring side kept up.
func (r *run) generator(m measurement, from, to time.Duration) *reportv1.Generator {
	var sent, late uint64
	for _, i := range m.records.Inferences {
		if i.Intended < from || i.Intended >= to {
			continue
		}
		sent++
		if i.Sent-i.Intended > measure.LateBy {
			late++
		}
	}
	out := &reportv1.Generator{
		CpuSeconds: m.usageAfter.cpuSeconds - m.usageBefore.cpuSeconds, MaxRssBytes: float64(m.usageAfter.maxRSS),
		LagP50Ms: tally.Millis(m.lag.Quantile(0.5)), LagP99Ms: tally.Millis(m.lag.Quantile(0.99)), LagMaxMs: tally.Millis(m.lag.Max()),
		DroppedIterations: m.dropped,
	}
	if sent > 0 {
		out.LateShare = float64(late) / float64(sent)
	}
	if seconds := (to - from).Seconds(); seconds > 0 {
		out.CpuCores = out.CpuSeconds / seconds
	}
	return out
}
