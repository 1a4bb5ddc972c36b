package registry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

// player is one client of the register, with the process of a pod that it starts anew now and then.
type player struct {
	*recorded
	t        *testing.T
	number   int
	rng      *rand.Rand
	client   *redis.Client
	register *registry.Registry
	// process is the pod's that it plays, with what that thinks it owns.
	pod       int
	process   *registry.Lease
	owned     uint64
	lost      *registry.Owner
	processes int
}

func (p *player) incarnation() string { return fmt.Sprintf("%d-%d", p.number, p.processes) }

func (p *player) start(ctx context.Context) {
	p.processes++
	p.owned = 0
	var err error
	p.process, err = registry.NewLease(registry.LeaseConfig{
		Client: p.client, Pod: podName(p.pod), Address: podName(p.pod) + ":8080", Incarnation: p.incarnation(),
		Status: func() registry.Status { return registry.Status{State: registry.StateReady} },
		Owned: func() []registry.Ownership {
			if p.owned == 0 {
				return nil
			}
			return []registry.Ownership{{Session: "s", Epoch: p.owned}}
		},
		Superseded: func(_ session.ID, o registry.Owner) { p.lost = &o },
		Log:        slog.New(slog.DiscardHandler),
	})
	require.NoError(p.t, err)
	p.do(p.number, move{kind: "start", pod: p.pod, incarnation: p.incarnation()}, func() (found, error) {
		return found{}, p.process.Renew(ctx)
	})
}

func ownerOf(o registry.Owner) modelSession {
	return modelSession{pod: o.Pod, incarnation: o.Incarnation, epoch: o.Epoch}
}

func (p *player) step(ctx context.Context) {
	switch p.rng.IntN(8) {
	case 0:
		p.start(ctx)
	case 1:
		p.do(p.number, move{kind: "release", pod: p.pod, incarnation: p.incarnation()}, func() (found, error) {
			return found{}, p.process.ReleaseNow(ctx)
		})
	case 2, 3:
		m := move{kind: "assert", pod: p.pod, incarnation: p.incarnation(), epoch: p.owned}
		if m.epoch == 0 {
			return
		}
		p.do(p.number, m, func() (found, error) {
			p.lost = nil
			err := p.process.Assert(ctx)
			if p.lost != nil {
				return found{owner: ownerOf(*p.lost), none: true}, err
			}
			return found{}, err
		})
	case 4:
		p.do(p.number, move{kind: "sweep"}, func() (found, error) {
			n, err := registry.NewSweeper(p.register, nil, slog.New(slog.DiscardHandler)).Sweep(ctx)
			return found{reclaimed: n}, err
		})
	case 5:
		p.do(p.number, move{kind: "owner"}, func() (found, error) {
			o, err := p.register.Owner(ctx, "s")
			if errors.Is(err, registry.ErrNotFound) {
				return found{none: true}, nil
			}
			return found{owner: ownerOf(o)}, err
		})
	default:
		p.claim(ctx)
	}
}

func (p *player) claim(ctx context.Context) {
	all := []string{podName(0), podName(1), podName(2)}
	p.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	n := 1 + p.rng.IntN(len(all))
	// Each is among the names, so that a claim is one step.
	c := registry.Claim{Candidates: all[:n], Others: all[n:], KnownEpoch: uint64(p.rng.IntN(3)) * p.owned}
	if p.rng.IntN(3) == 0 {
		c.Avoid = all[p.rng.IntN(len(all))]
	}
	p.do(p.number, move{kind: "claim", claim: c}, func() (found, error) {
		o, assigned, err := p.register.Claim(ctx, "s", c)
		switch {
		case errors.Is(err, registry.ErrNoPods):
			return found{none: true}, nil
		case err != nil:
			return found{}, err
		}
		if o.Pod == podName(p.pod) && o.Incarnation == p.incarnation() {
			p.owned = o.Epoch
		}
		return found{owner: ownerOf(o), assigned: assigned}, nil
	})
}
