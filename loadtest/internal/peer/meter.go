package peer

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
)

// Gaps longer than these are counted for every client, beside the client's own threshold.
const (
	Gap60ms  = 60 * time.Millisecond
	Gap200ms = 200 * time.Millisecond
	Gap1s    = time.Second
)

// Kind says what a gap is made of, for its larger part.
type Kind int

const (
	// Outage: nothing was sent, or what was sent came late. The sender's sequence and media clock go on where they stopped
	// (or begin anew, across a redial). It is what a dead, frozen or unreachable pod looks like.
	Outage Kind = iota
	// Loss: packets were sent and did not arrive: the sequence jumps, and the media clock with it.
	Loss
	// Silence: the sender chose to send nothing: the media clock jumps, the sequence does not. The agent sends silence as
	// packets, so this is only seen from other senders.
	Silence
)

func (k Kind) String() string { return [...]string{"outage", "loss", "silence"}[k] }

// Gap is a time without media.
type Gap struct {
	// Start is when the last packet before it arrived; Duration how long after that the next one did.
	Start    time.Time
	Duration time.Duration
	Kind     Kind
	// Redial: the next packet was another call's.
	Redial bool
	// Open: there was no next packet; the gap was cut at Finish.
	Open bool
}

// MeterConfig of a meter.
type MeterConfig struct {
	// Threshold above which a gap is told to OnGap; 0 means Gap200ms, which is what a media interruption is.
	Threshold time.Duration
	// OnGap, where set, is called for each such gap when it ends, from the goroutine that received the packet.
	OnGap func(Gap)
	// Clock must be monotonic; nil means the real one.
	Clock clockwork.Clock
}

// Counts of gaps by length, each gap in all it exceeds.
type Counts struct{ Over60ms, Over200ms, Over1s uint64 }

func (c *Counts) add(d time.Duration) {
	if d > Gap60ms {
		c.Over60ms++
	}
	if d > Gap200ms {
		c.Over200ms++
	}
	if d > Gap1s {
		c.Over1s++
	}
}

// Snapshot is what a meter has seen.
type Snapshot struct {
	// Packets arrived; Lost are missing in sequence, those that came late taken off again.
	Packets, Lost uint64
	// Late came out of order, or twice.
	Late uint64
	// Outage, Loss and Silence count the gaps of each kind.
	Outage, Loss, Silence Counts
	// Longest gap of any kind.
	Longest time.Duration
}

// Meter measures the media that reaches one simulated client, over all of its calls: the time between two packets in a row,
// whichever call they are of. Sequence and timestamp tell loss and silence from outage, within a call. The time before the
// very first packet is set-up, not a gap. Two calls may feed it at once (make before break): then only what is silent on
// both is a gap.
//
// Arrival is when this process read the packet, so a stall of the generator shows as a gap; API.Lag tells it apart.
type Meter struct {
	cfg MeterConfig

	mu       sync.Mutex
	last     time.Time
	lastFrom *Stream
	seen     Snapshot
	hist     *hdrhistogram.Histogram
}

// Gaps are recorded in units of 100 µs up to 10 min, to 2 digits: a meter then takes about 14 KB.
const (
	gapUnit = 100 * time.Microsecond
	gapMax  = 10 * time.Minute
)

// NewGapHistogram makes a histogram that MergeGaps can add to, in units of 100 µs.
func NewGapHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(gapMax/gapUnit), 2)
}

// NewMeter makes a meter that has seen nothing.
func NewMeter(cfg MeterConfig) *Meter {
	if cfg.Threshold == 0 {
		cfg.Threshold = Gap200ms
	}
	if cfg.Clock == nil {
		cfg.Clock = clockwork.NewRealClock()
	}
	return &Meter{cfg: cfg, hist: NewGapHistogram()}
}

// Stream is one call's part of a meter.
type Stream struct {
	meter     *Meter
	started   bool
	sequence  uint16
	timestamp uint32
}

// Stream begins to measure a call; what it receives after another one ends a gap across a redial.
func (m *Meter) Stream() *Stream { return &Stream{meter: m} }

// Received takes the next packet of the stream, now, by its RTP sequence number and timestamp.
func (s *Stream) Received(sequence uint16, timestamp uint32) {
	m := s.meter
	now := m.cfg.Clock.Now()
	m.mu.Lock()
	frames, ticks := m.place(s, sequence, timestamp)
	var gap Gap
	if m.seen.Packets > 0 {
		gap = Gap{Start: m.last, Duration: now.Sub(m.last), Redial: m.lastFrom != s}
		if !gap.Redial {
			gap.Kind = kindOf(gap.Duration, frames, ticks)
		}
		m.count(gap)
	}
	m.seen.Packets++
	m.last, m.lastFrom = now, s
	m.mu.Unlock()
	if gap.Duration > m.cfg.Threshold && m.cfg.OnGap != nil {
		m.cfg.OnGap(gap)
	}
}

// place puts a packet into its stream and returns by how many packets, and how much media time, it is ahead of the one
// before: 1 and 160 in the regular case, 0 for a late one.
func (m *Meter) place(s *Stream, sequence uint16, timestamp uint32) (frames, ticks int) {
	if !s.started {
		s.started, s.sequence, s.timestamp = true, sequence, timestamp
		return 1, audio.FrameSamples
	}
	// Both wrap around: the signed difference is right within half of their range.
	frames, ticks = int(int16(sequence-s.sequence)), int(int32(timestamp-s.timestamp))
	if frames <= 0 {
		m.seen.Late++
		if frames < 0 && m.seen.Lost > 0 {
			m.seen.Lost--
		}
		return 0, 0
	}
	m.seen.Lost += uint64(frames - 1)
	s.sequence, s.timestamp = sequence, timestamp
	return frames, ticks
}

// kindOf splits a gap: missing packets account for 20 ms each, a media clock ahead of the sequence for silence, and what
// neither explains is outage.
func kindOf(gap time.Duration, frames, ticks int) Kind {
	loss := time.Duration(max(0, frames-1)) * audio.FrameDuration
	silence := time.Duration(max(0, ticks-frames*audio.FrameSamples)) * time.Second / audio.SampleRate
	outage := gap - loss - silence
	switch {
	case loss > silence && loss > outage:
		return Loss
	case silence > outage:
		return Silence
	}
	return Outage
}

func (m *Meter) count(g Gap) {
	_ = m.hist.RecordValue(int64(min(g.Duration, gapMax) / gapUnit)) // in range
	m.seen.Longest = max(m.seen.Longest, g.Duration)
	switch g.Kind {
	case Outage:
		m.seen.Outage.add(g.Duration)
	case Loss:
		m.seen.Loss.add(g.Duration)
	case Silence:
		m.seen.Silence.add(g.Duration)
	}
}

// Since is the time since the last packet of any call; 0 before the first.
func (m *Meter) Since() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen.Packets == 0 {
		return 0
	}
	return m.cfg.Clock.Since(m.last)
}

// Finish counts the gap that is open now, if it is above the threshold: media that never came back must not go uncounted.
// Call it once, when the client ends.
func (m *Meter) Finish() {
	open := m.Since()
	if open <= m.cfg.Threshold {
		return
	}
	m.mu.Lock()
	gap := Gap{Start: m.last, Duration: open, Open: true}
	m.count(gap)
	m.mu.Unlock()
	if m.cfg.OnGap != nil {
		m.cfg.OnGap(gap)
	}
}

// Snapshot is what was seen so far.
func (m *Meter) Snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen
}

// MergeGaps adds all gaps, the regular 20 ms ones included, to a histogram from NewGapHistogram.
func (m *Meter) MergeGaps(into *hdrhistogram.Histogram) {
	m.mu.Lock()
	defer m.mu.Unlock()
	into.Merge(m.hist)
}

// ResetGaps forgets the counts and the histogram, such as a warm-up's, but not when the last packet came.
func (m *Meter) ResetGaps() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = Snapshot{Packets: min(1, m.seen.Packets)}
	m.hist.Reset()
}
