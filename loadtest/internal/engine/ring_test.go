package engine_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/affinity"
)

// ringless starts fleets that say that their mesh balances by Maglev.
type ringless struct{ driver.Driver }

func (d ringless) Up(ctx context.Context, s driver.Spec) (driver.Fleet, error) {
	f, err := d.Driver.Up(ctx, s)
	return ringlessFleet{f}, err
}

type ringlessFleet struct{ driver.Fleet }

func (f ringlessFleet) Status(ctx context.Context) (*fleetv1.StatusResponse, error) {
	s, err := f.Fleet.Status(ctx)
	if err == nil {
		s.Policy, s.RingSize = string(affinity.PolicyMaglev), 0
	}
	return s, err
}

func maglev(session string, hosts []affinity.Host) int {
	p, err := affinity.New(affinity.PolicyMaglev, hosts, affinity.Options{})
	if err != nil {
		return -1
	}
	return p.Pick(affinity.HashValue(session), 0)
}

func TestAMeshWithoutARingIsPredictedToo(t *testing.T) {
	inBubble(t, maglev, func(t *testing.T, b *bench) {
		b.engine.Driver = ringless{b.driver}
		r := b.run(t, spec())
		require.True(t, r.GetValid(), r.GetInvalidReasons())
		require.Contains(t, r.GetCounts(), "mispredicted_sessions")
		require.Zero(t, r.GetCounts()["mispredicted_sessions"])
		require.NotContains(t, r.GetSettings(), "ring_size", "there is none")
	})
}
