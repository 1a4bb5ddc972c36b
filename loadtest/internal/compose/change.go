package compose

import (
	"context"
	"fmt"
	"slices"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
)

// Do implements driver.Fleet.
//
// What compose has no word for is done in the nearest way: a pod that was killed, or stopped, is started again in place, with its name
// and address, as the kubelet restarts a container; a rollout takes each pod in turn so, as a StatefulSet does.
func (f *fleet) Do(ctx context.Context, e scenario.Event) (string, error) {
	select {
	case <-f.turn:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	defer func() { f.turn <- struct{}{} }()
	switch e.Kind {
	case scenario.KindScale:
		return "", f.scale(ctx, e.Pods)
	case scenario.KindKill:
		return f.hit(e.Pod, func(p pod) error { return f.kill(ctx, p) })
	case scenario.KindStop:
		return f.hit(e.Pod, func(p pod) error { return f.replace(ctx, p) })
	case scenario.KindFreeze:
		return f.hit(e.Pod, func(p pod) error { return f.freeze(ctx, p, true) })
	case scenario.KindThaw:
		return e.Pod, f.thaw(ctx, e.Pod)
	case scenario.KindRollout:
		for _, p := range newestFirst(f.present()) {
			if err := f.replace(ctx, p); err != nil {
				return p.name, err
			}
		}
		return "", nil
	case scenario.KindRedis:
		return "", f.setRedis(ctx, e.Up)
	case scenario.KindSmaran:
		return "", f.killSmaran(ctx)
	default:
		return "", fmt.Errorf("%w: the fleet can't %s", scenario.ErrEvent, e.Name())
	}
}

// hit does something to the named pod, or to the one that the seed picks among the ready, as fleet.v1 says of Kill.
func (f *fleet) hit(name string, do func(pod) error) (string, error) {
	p, err := f.victim(name)
	if err != nil {
		return "", err
	}
	return p.name, do(p)
}

func (f *fleet) victim(name string) (pod, error) {
	if name != "" {
		return f.named(name)
	}
	var candidates []pod
	for _, p := range f.present() {
		if s := f.watch.look(p.name); s.running && !s.frozen && f.listed(p) {
			candidates = append(candidates, p)
		}
	}
	if len(candidates) == 0 {
		return pod{}, fmt.Errorf("%w: none is ready", ErrPod)
	}
	return candidates[f.rng.IntN(len(candidates))], nil
}

func (f *fleet) named(name string) (pod, error) {
	for _, p := range f.present() {
		if p.name == name {
			return p, nil
		}
	}
	return pod{}, fmt.Errorf("%w: %q; there are %v", ErrPod, name, names(f.present()))
}

// present are the pods that shall be there, in the order of their numbers.
func (f *fleet) present() []pod { return f.layout.pods[:f.size] }

// listed is whether Envoy has the pod in rotation.
func (f *fleet) listed(p pod) bool {
	health, known := f.history.health(p)
	return known && health.InRotation()
}

// scale ends the newest pods, or starts more.
func (f *fleet) scale(ctx context.Context, size int) error {
	if size < 1 || size > len(f.layout.pods) {
		return fmt.Errorf("%w: %d pods: the compose file has 1 to %d", ErrPod, size, len(f.layout.pods))
	}
	have := f.size
	if size < have {
		f.size = size
		return f.remove(ctx, f.layout.pods[size:have]...)
	}
	f.size = size
	return f.add(ctx, f.layout.pods[have:size]...)
}

// add starts pods and waits until Envoy has them all.
func (f *fleet) add(ctx context.Context, pods ...pod) error {
	if len(pods) == 0 {
		return nil
	}
	if err := f.up(ctx, names(pods)...); err != nil {
		return err
	}
	return f.serving(ctx, pods...)
}

// remove stops pods, which drain first, and takes their containers away.
func (f *fleet) remove(ctx context.Context, pods ...pod) error {
	pods = newestFirst(pods)
	if err := f.end(ctx, names(pods), "stop"); err != nil {
		return err
	}
	if _, err := f.docker.compose(ctx, append([]string{"rm", "--force", "--volumes"}, names(pods)...)...); err != nil {
		return err
	}
	f.watch.gone(names(pods)...)
	fresh := f.history.fresh()
	return f.await(ctx, fmt.Sprintf("Envoy listed %v no more", names(pods)), func() bool {
		return fresh() && !slices.ContainsFunc(pods, f.listed)
	})
}

// kill ends a pod by SIGKILL and starts it again in place once its end was seen.
func (f *fleet) kill(ctx context.Context, p pod) error {
	if err := f.end(ctx, []string{p.name}, "kill", "--signal", "KILL"); err != nil {
		return err
	}
	return f.add(ctx, p)
}

// replace stops a pod, which drains, and starts it again in place.
func (f *fleet) replace(ctx context.Context, p pod) error {
	if err := f.end(ctx, []string{p.name}, "stop"); err != nil {
		return err
	}
	return f.add(ctx, p)
}

// freeze stops a pod's process by SIGSTOP, or lets it go on.
func (f *fleet) freeze(ctx context.Context, p pod, frozen bool) error {
	signal := "CONT"
	if frozen {
		signal = "STOP"
	}
	if _, err := f.docker.compose(ctx, "kill", "--signal", signal, p.name); err != nil {
		return err
	}
	f.watch.froze(p.name, frozen)
	return nil
}

// thaw lets a pod go on, or all that are frozen. It fails with ErrPod for one that is not.
func (f *fleet) thaw(ctx context.Context, name string) error {
	pods := f.present()
	if name != "" {
		p, err := f.named(name)
		if err != nil {
			return err
		}
		if !f.watch.look(name).frozen {
			return fmt.Errorf("%w: %s is not frozen", ErrPod, name)
		}
		pods = []pod{p}
	}
	for _, p := range pods {
		if !f.watch.look(p.name).frozen {
			continue
		}
		if err := f.freeze(ctx, p, false); err != nil {
			return err
		}
	}
	return nil
}

// setRedis removes Redis, or starts it empty.
func (f *fleet) setRedis(ctx context.Context, up bool) error {
	running := f.watch.look(redisService).running
	switch {
	case up == running:
		return nil
	case up:
		return f.redisUp(ctx)
	default:
		return f.end(ctx, []string{redisService}, "rm", "--force", "--stop", "--volumes")
	}
}

// redisUp starts Redis and waits until it answers. Its health check would do so too, at intervals of seconds.
func (f *fleet) redisUp(ctx context.Context) error {
	if err := f.up(ctx, redisService); err != nil {
		return err
	}
	return f.until(ctx, "Redis answered", redisService, func(ctx context.Context) bool {
		_, err := f.docker.compose(ctx, "exec", "-T", redisService, "redis-cli", "-e", "ping")
		return err == nil
	})
}

// killSmaran ends smaran by SIGKILL, starts it again in place, and returns once it serves.
func (f *fleet) killSmaran(ctx context.Context) error {
	if err := f.end(ctx, []string{smaranService}, "kill", "--signal", "KILL"); err != nil {
		return err
	}
	if err := f.up(ctx, smaranService); err != nil {
		return err
	}
	return f.smaranReady(ctx)
}

// up starts services that are not running, without what they depend on.
func (f *fleet) up(ctx context.Context, args ...string) error {
	_, err := f.docker.compose(ctx, append([]string{"up", "--detach", "--no-deps", "--no-recreate", "--no-build"}, args...)...)
	return err
}

// end runs a command that ends services, and returns once the engine has seen their end.
func (f *fleet) end(ctx context.Context, services []string, command ...string) error {
	f.watch.expect(true, services...)
	defer f.watch.expect(false, services...)
	if _, err := f.docker.compose(ctx, append(command, services...)...); err != nil {
		return err
	}
	return f.await(ctx, fmt.Sprintf("%v had ended", services), func() bool {
		return !slices.ContainsFunc(services, func(s string) bool { return f.watch.look(s).running })
	})
}

// serving waits until pods are ready, and smaran and Envoy have them in rotation. A pod that came back before they missed it never
// left their lists; so it is asked itself.
func (f *fleet) serving(ctx context.Context, pods ...pod) error {
	for _, p := range pods {
		if err := f.podReady(ctx, p); err != nil {
			return err
		}
	}
	fresh := f.history.fresh()
	return f.await(ctx, fmt.Sprintf("Envoy listed %v", names(pods)), func() bool {
		return fresh() && !slices.ContainsFunc(pods, func(p pod) bool { return !f.listed(p) })
	})
}

func names(pods []pod) []string {
	out := make([]string, len(pods))
	for i, p := range pods {
		out[i] = p.name
	}
	return out
}

func newestFirst(pods []pod) []pod {
	out := slices.Clone(pods)
	slices.Reverse(out)
	return out
}

var _ driver.Fleet = (*fleet)(nil)
