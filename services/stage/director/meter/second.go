package meter

import (
	"time"

	"google.golang.org/protobuf/proto"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

// second is one second of a lane.
type second struct {
	number int64 // below 0: none
	told   bool

	requests, failed, cold, misroutes, dropped, renegotiations, migrations uint32
	sent, late                                                             uint32
	callsUp                                                                uint32
	latencies                                                              histogram
	gap                                                                    time.Duration
}

func (s *second) within(now int64) bool {
	return s.number >= 0 && s.number > now-window && s.number <= now
}

func (s *second) count(name string) {
	var n *uint32
	switch name {
	case wire.CountRequests:
		n = &s.requests
	case wire.CountRequestsFailed:
		n = &s.failed
	case wire.CountColdStarts:
		n = &s.cold
	case wire.CountMisroutes:
		n = &s.misroutes
	case wire.CountDroppedCalls:
		n = &s.dropped
	case wire.CountRenegotiations:
		n = &s.renegotiations
	case wire.CountMigrations:
		n = &s.migrations
	default:
		return
	}
	*n++
	s.told = false
}

func (s *second) point() *stagev1.Point {
	return &stagev1.Point{
		Second: uint32(s.number), Requests: s.requests, Failed: s.failed, Cold: s.cold, Misroutes: s.misroutes, Dropped: s.dropped,
		Renegotiations: s.renegotiations, Migrations: s.migrations, CallsUp: s.callsUp,
		InferenceP50Ms: s.latencies.percentile(50), InferenceP99Ms: s.latencies.percentile(99), WorstGapMs: millisAbove0(s.gap),
	}
}

// millisAbove0 is absent where there was none.
func millisAbove0(d time.Duration) *float64 {
	if d <= 0 {
		return nil
	}
	return proto.Float64(float64(d) / float64(time.Millisecond))
}
