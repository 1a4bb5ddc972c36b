package meter

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/measure"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	// window is the time that percentiles, the worst gap and the share of late requests are of.
	window = 10
	// kept seconds take what comes late.
	kept = window + 4
	// settled is how long after its end a second is first told of: crowds send ten times a second.
	settled = 250 * time.Millisecond
)

// Meter is not safe for concurrent use.
type Meter struct {
	counts  map[string]uint32
	seconds [kept]second
	callsUp uint32
	scratch histogram
	// now is the second that is going on; before the first Advance it is below 0.
	now      int64
	measured bool
}

// New counts nothing yet.
func New() *Meter {
	m := &Meter{now: -1, counts: map[string]uint32{}, scratch: newHistogram()}
	for i := range m.seconds {
		m.seconds[i] = second{number: -1, latencies: newHistogram()}
	}
	return m
}

// onRequests are counted once there is a crowd, and onCalls once a call was up: before, nothing was measured, which is not 0.
var (
	onRequests = []string{
		wire.CountRequests, wire.CountRequestsFailed, wire.CountColdStarts, wire.CountFirstLoads, wire.CountStateLost, wire.CountForwards,
		wire.CountDroppedIterations,
	}
	onCalls = []string{
		wire.CountMisroutes, wire.CountMisroutedRequests, wire.CountSignalReconnects, wire.CountMediaInterruptions, wire.CountRenegotiations,
		wire.CountMigrations, wire.CountDroppedNoMedia, wire.CountDroppedStateLost, wire.CountDroppedCalls, wire.CountSetupFailures,
		wire.CountUnspoken, wire.CountGapsOver60ms, wire.CountGapsOver1s,
	}
)

// Known is whether a name is one that is counted.
func Known(name string) bool {
	return slices.Contains(onRequests, name) || slices.Contains(onCalls, name)
}

// Names that are counted so far.
func (m *Meter) Names() []string { return slices.Collect(maps.Keys(m.counts)) }

// Advance says what time it is. While measured, each second is told of, also if nothing happened in it.
func (m *Meter) Advance(now time.Duration, measured bool) {
	number := int64(now / time.Second)
	first := number
	if m.measured { // also those that nobody looked at
		first = max(m.now+1, number-kept+1)
	}
	if measured {
		m.start(onRequests)
		for n := first; n <= number; n++ {
			m.open(n)
		}
		if s := m.at(now); s != nil {
			s.callsUp = m.callsUp
		}
	}
	m.now, m.measured = number, measured
}

func (m *Meter) start(names []string) {
	if _, counted := m.counts[names[0]]; counted {
		return
	}
	for _, name := range names {
		if _, counted := m.counts[name]; !counted {
			m.counts[name] = 0
		}
	}
}

// Count adds one. Names that are not Known are not counted.
func (m *Meter) Count(at time.Duration, name string) {
	if !Known(name) {
		return
	}
	m.start(onRequests)
	if slices.Contains(onCalls, name) {
		m.start(onCalls)
	}
	m.counts[name]++
	if s := m.at(at); s != nil {
		s.count(name)
	}
}

// Sent adds a request by how late it left.
func (m *Meter) Sent(at, late time.Duration) {
	if s := m.at(at); s != nil {
		s.sent++
		if late > measure.LateBy {
			s.late++
		}
	}
}

// Answered adds an answer by its latency.
func (m *Meter) Answered(at, latency time.Duration) {
	if s := m.at(at); s != nil {
		s.latencies.record(latency)
		s.told = false
	}
}

// Gap adds the longest gap of one call in one second.
func (m *Meter) Gap(at, length time.Duration) {
	if s := m.at(at); s != nil {
		s.gap = max(s.gap, length)
		s.told = false
	}
}

// CallsUp says how many calls are up from now on.
func (m *Meter) CallsUp(n int) {
	m.callsUp = uint32(n)
	if n > 0 {
		m.start(onCalls)
	}
}

// Fill puts the totals and the last ten seconds into a message.
func (m *Meter) Fill(out *stagev1.Meters) {
	out.Counts, out.CallsUp = maps.Clone(m.counts), m.callsUp
	all, worst := m.scratch, time.Duration(0)
	all.reset()
	for i := range m.seconds {
		if s := &m.seconds[i]; s.within(m.now) {
			all.merge(s.latencies)
			worst = max(worst, s.gap)
		}
	}
	out.InferenceP50Ms, out.InferenceP99Ms = all.percentile(50), all.percentile(99)
	out.WorstGapMs = millisAbove0(worst)
}

// LateShare is the share, 0 to 1, of the last ten seconds' requests that left late; nil without any.
func (m *Meter) LateShare() *float64 {
	var sent, late uint32
	for i := range m.seconds {
		if s := &m.seconds[i]; s.within(m.now) {
			sent, late = sent+s.sent, late+s.late
		}
	}
	if sent == 0 {
		return nil
	}
	return proto.Float64(float64(late) / float64(sent))
}

// Points are the seconds that are over and were not told of as they are now.
func (m *Meter) Points(now time.Duration) []*stagev1.Point {
	var out []*stagev1.Point
	for i := range m.seconds {
		s := &m.seconds[i]
		if s.number < 0 || s.told || now < time.Duration(s.number+1)*time.Second+settled {
			continue
		}
		s.told = true
		out = append(out, s.point())
	}
	return out
}

// at is the second of a time, nil where it is over for long, or was not measured.
func (m *Meter) at(at time.Duration) *second {
	number := int64(at / time.Second)
	if at < 0 {
		return nil
	}
	if s := &m.seconds[number%kept]; s.number == number {
		return s
	}
	return nil
}

func (m *Meter) open(number int64) {
	s := &m.seconds[number%kept]
	if s.number == number {
		return
	}
	s.latencies.reset()
	*s = second{number: number, latencies: s.latencies, callsUp: m.callsUp}
}
