package conduct

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"

	conductorv1 "github.com/smaran-v2/smaran/proto/conductor/v1"
	"github.com/smaran-v2/smaran/proto/conductor/v1/conductorv1connect"
)

// clockAsked is how often the conductor's clock is asked for; the quickest answer counts.
const clockAsked = 8

// clock says how the conductor's clock differs from this machine's.
type clock struct {
	// ahead is how far the conductor's is ahead; it is off by at most half of within.
	ahead, within time.Duration
}

// compareClocks asks as NTP does (RFC 5905 section 8): the conductor's time is that of the middle of the question's round trip.
func compareClocks(ctx context.Context, own clockwork.Clock, conductor conductorv1connect.ConductorServiceClient) (clock, error) {
	var best clock
	for i := range clockAsked {
		asked := own.Now()
		res, err := conductor.Clock(ctx, connect.NewRequest(&conductorv1.ClockRequest{}))
		if err != nil {
			return clock{}, fmt.Errorf("ask the conductor for its time: %w", err)
		}
		took := own.Since(asked)
		if i == 0 || took < best.within {
			best = clock{ahead: res.Msg.GetNow().AsTime().Sub(asked.Add(took / 2)), within: took}
		}
	}
	return best, nil
}

// own is a time of the conductor's clock as this machine's has it.
func (c clock) own(t time.Time) time.Time { return t.Add(-c.ahead) }
