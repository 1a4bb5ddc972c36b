package fleet

import (
	"context"
	"fmt"
	"log/slog"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
)

// Scale sets the number of pods. New pods start in parallel; scaling in ends the newest first. A ctx that ends leaves what was
// started to go on by itself.
func (f *Fleet) Scale(ctx context.Context, pods int) (*fleetv1.Endpoints, error) {
	if pods < 0 || pods > maxPods {
		return nil, fmt.Errorf("%w: %d pods: expected 0 to %d", ErrConfig, pods, maxPods)
	}
	release, err := f.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	have := f.alive()
	f.notices.add(slog.LevelInfo, fmt.Sprintf("scaling from %d to %d pods", len(have), pods))
	if extra := len(have) - pods; extra > 0 {
		victims := newestFirst(have)[:extra]
		if err := f.endPods(ctx, victims...); err != nil {
			return nil, err
		}
		return f.endpointsAfter(f.awaitAll(ctx, victims, (*pod).absent))
	}
	added, err := f.addPods(ctx, pods-len(have))
	if err != nil {
		return nil, err
	}
	return f.endpointsAfter(f.awaitAll(ctx, added, (*pod).listed))
}

// Kill sends SIGKILL to a pod, or, without a name, to one that the seed picks among the ready. It returns once the pod is back.
func (f *Fleet) Kill(ctx context.Context, name string) (string, *fleetv1.Endpoints, error) {
	release, err := f.take(ctx)
	if err != nil {
		return "", nil, err
	}
	defer release()
	p, err := f.victim(name)
	if err != nil {
		return "", nil, err
	}
	before, err := p.kill()
	if err != nil {
		return "", nil, err
	}
	err = f.board.await(ctx, func() (bool, error) {
		if back, err := p.serving(before); !back || err != nil {
			return false, err
		}
		return p.listed()
	})
	after, err := f.endpointsAfter(err)
	return p.name, after, err
}

func (f *Fleet) victim(name string) (*pod, error) {
	if name != "" {
		return f.podNamed(name)
	}
	var candidates []*pod
	for _, p := range f.alive() {
		if v := p.look(); v.phase == ready && !v.frozen {
			candidates = append(candidates, p)
		}
	}
	if len(candidates) == 0 {
		return nil, fmt.Errorf("%w: no pod is ready", ErrPhase)
	}
	return candidates[f.rng.IntN(len(candidates))], nil
}

// Stop drains a pod, chosen as by Kill, and ends it by SIGTERM; a new one is started at the same time. It returns once the one is gone and the other in the
// endpoints.
func (f *Fleet) Stop(ctx context.Context, name string) (string, *fleetv1.Endpoints, error) {
	release, err := f.take(ctx)
	if err != nil {
		return "", nil, err
	}
	defer release()
	old, err := f.victim(name)
	if err != nil {
		return "", nil, err
	}
	if old.look().stopping {
		return "", nil, fmt.Errorf("%w: %s is draining already", ErrPhase, name)
	}
	if err := f.endPods(ctx, old); err != nil {
		return "", nil, err
	}
	added, err := f.addPods(ctx, 1)
	if err != nil {
		return "", nil, err
	}
	if err := f.awaitAll(ctx, added, (*pod).listed); err != nil {
		return "", nil, err
	}
	after, err := f.endpointsAfter(f.awaitAll(ctx, []*pod{old}, (*pod).absent))
	return old.name, after, err
}

// Rollout replaces every pod as a Deployment with maxSurge 1 and maxUnavailable 0 does: once a new pod is in the endpoints, an old one
// drains, and the next new one starts. It ends early, with the pods it has got to, where a new one does not get ready or ctx ends.
func (f *Fleet) Rollout(ctx context.Context) (*fleetv1.Endpoints, error) {
	release, err := f.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	old := newestFirst(f.alive())
	f.notices.add(slog.LevelInfo, fmt.Sprintf("rolling over %d pods", len(old)))
	for _, p := range old {
		added, err := f.addPods(ctx, 1)
		if err != nil {
			return nil, err
		}
		if err := f.awaitAll(ctx, added, (*pod).listed); err != nil {
			return nil, err
		}
		if err := f.endPods(ctx, p); err != nil {
			return nil, err
		}
	}
	return f.endpointsAfter(f.awaitAll(ctx, old, (*pod).absent))
}

// Freeze sends SIGSTOP to a pod, chosen as by Kill.
func (f *Fleet) Freeze(ctx context.Context, name string) (string, error) {
	release, err := f.take(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	p, err := f.victim(name)
	if err != nil {
		return "", err
	}
	if err := p.freeze(true); err != nil {
		return "", err
	}
	f.notices.add(slog.LevelInfo, p.name+" is frozen")
	return p.name, nil
}

// Thaw sends SIGCONT to a pod, or, without a name, to every frozen one.
func (f *Fleet) Thaw(ctx context.Context, name string) ([]string, error) {
	release, err := f.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	pods := f.alive()
	if name != "" {
		p, err := f.podNamed(name)
		if err != nil {
			return nil, err
		}
		pods = []*pod{p}
	}
	var thawed []string
	for _, p := range pods {
		if !p.look().frozen {
			continue
		}
		if err := p.freeze(false); err != nil {
			return thawed, err
		}
		thawed = append(thawed, p.name)
		f.notices.add(slog.LevelInfo, p.name+" goes on")
	}
	if name != "" && len(thawed) == 0 {
		return nil, fmt.Errorf("%w: %s is not frozen", ErrPhase, name)
	}
	return thawed, nil
}

// SetRedis kills Redis, or starts it empty at the same address. What is so already stays so.
func (f *Fleet) SetRedis(ctx context.Context, up bool) error {
	release, err := f.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	switch {
	case up == f.redisKept():
		return nil
	case up:
		err = f.redisUp(ctx)
	default:
		err = f.redisDown(ctx)
	}
	if err == nil {
		f.notices.add(slog.LevelInfo, map[bool]string{true: "redis is up, and empty", false: "redis is down"}[up])
	}
	return err
}

// KillSmaran sends SIGKILL to the coordinator and returns once it serves anew.
func (f *Fleet) KillSmaran(ctx context.Context) error {
	release, err := f.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	before, err := f.ways[0].smaran.member.kill()
	if err != nil {
		return err
	}
	return f.board.await(ctx, func() (bool, error) { return f.ways[0].smaran.member.serving(before) })
}

func (f *Fleet) endpointsAfter(err error) (*fleetv1.Endpoints, error) {
	if err != nil {
		return nil, err
	}
	return f.ledger.latest(), nil
}
