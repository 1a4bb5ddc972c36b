package fleet

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/fleet/internal/proc"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/wire"
)

// pod is one jarvis process and its place in the endpoints. It observes its own member.
type pod struct {
	*member
	fleet  *Fleet
	number int
	at     podAddresses
}

func (p *pod) up() {
	if p.fleet.handsOver() {
		p.fleet.admission.ask(p)
		return
	}
	p.fleet.ledger.join(p.number, p.name, p.at.http)
}

func (p *pod) noticed() { p.fleet.ledger.leave(p.name) }

// over takes the pod off the list; the endpoints follow with the next batch.
func (p *pod) over() {
	f := p.fleet
	f.mu.Lock()
	f.pods = slices.DeleteFunc(f.pods, func(other *pod) bool { return other == p })
	f.mu.Unlock()
	f.ledger.gone(p.name)
	f.board.announce()
}

// listed is a condition: the written endpoints have the pod in rotation.
func (p *pod) listed() (bool, error) {
	health, err := p.fleet.ledger.health(p.name)
	if err != nil {
		return false, err
	}
	if health == endpoints.Healthy {
		return true, nil
	}
	_, err = p.serving(0)
	return false, err
}

// absent is a condition: the process has ended and the written endpoints do not list it.
func (p *pod) absent() (bool, error) {
	health, err := p.fleet.ledger.health(p.name)
	return err == nil && health == endpoints.Unknown && p.look().phase == ended, err
}

// launchPod starts a pod under the next name whose address is free.
func (f *Fleet) launchPod(ctx context.Context) (*pod, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for attempts := 0; ; attempts++ {
		f.lastNumber++
		err := f.layout.podFree(ctx, f.lastNumber)
		if err == nil {
			break
		}
		if attempts == maxPods || ctx.Err() != nil {
			return nil, fmt.Errorf("%w: for another pod: %w", ErrAddress, err)
		}
		f.notices.add(slog.LevelWarn, fmt.Sprintf("there is no pod %s: %v", podName(f.lastNumber), err))
	}
	p := &pod{fleet: f, number: f.lastNumber, at: f.layout.pod(f.lastNumber)}
	name := podName(p.number)
	p.member = newMember(f.supervision, name, f.podSpec(name, p), answers200(probeClient(), "http://"+p.at.admin+wire.PathReady), p)
	if err := f.launch(p.member); err != nil {
		return nil, err
	}
	f.pods = append(f.pods, p)
	return p, nil
}

func podName(number int) string { return jarvisName + "-" + strconv.Itoa(number) }

// addPods starts n pods, a bounded number at a time, and returns once all are ready. Those that do not get ready stay and are
// tried on, as a ReplicaSet's would.
func (f *Fleet) addPods(ctx context.Context, n int) ([]*pod, error) {
	if f.handsOver() {
		f.admission.expect(n)
	}
	var added []*pod
	group, ctx := errgroup.WithContext(ctx)
	slots := make(chan struct{}, maxStarting())
	for range n {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return added, group.Wait()
		}
		p, err := f.launchPod(ctx)
		if err != nil {
			group.Go(func() error { return err })
			return added, group.Wait()
		}
		added = append(added, p)
		group.Go(func() error {
			defer func() { <-slots }()
			return f.board.await(ctx, func() (bool, error) { return p.serving(0) })
		})
	}
	return added, group.Wait()
}

// endPods drains and ends pods, all at the same time, and does not wait for it.
func (f *Fleet) endPods(ctx context.Context, pods ...*pod) error {
	names := make([]string, len(pods))
	for i, p := range pods {
		names[i] = p.name
	}
	if f.handsOver() {
		f.admission.prepare(ctx, f.ledger.inRotation(nil, names...))
	}
	if err := f.ledger.drain(names...); err != nil {
		return err
	}
	for _, p := range pods {
		p.stop(f.cfg.Grace)
	}
	f.notices.add(slog.LevelInfo, "draining "+strings.Join(names, ", "))
	return nil
}

func (f *Fleet) awaitAll(ctx context.Context, pods []*pod, condition func(*pod) (bool, error)) error {
	for _, p := range pods {
		if err := f.board.await(ctx, func() (bool, error) { return condition(p) }); err != nil {
			return err
		}
	}
	return nil
}

// newestFirst is the order in which a ReplicaSet ends pods: those that are not ready before those that are, then by age.
func newestFirst(pods []*pod) []*pod {
	sorted := slices.Clone(pods)
	slices.SortFunc(sorted, func(a, b *pod) int {
		if byReady := cmp.Compare(rank(a), rank(b)); byReady != 0 {
			return byReady
		}
		return b.number - a.number
	})
	return sorted
}

func rank(p *pod) int {
	if p.look().phase == ready {
		return 1
	}
	return 0
}

func (f *Fleet) podSpec(name string, p *pod) proc.Spec {
	settings := goLimits(f.cfg.WeightsMB + podMemoryMiB)
	for key, value := range map[string]string{
		"POD": name, "ADDRESS": p.at.http,
		"LISTEN": p.at.http, "ADMIN_LISTEN": p.at.admin, "MEDIA_LISTEN": p.at.media,
		"WEIGHTS_MB":    strconv.Itoa(f.cfg.WeightsMB),
		"DRAIN_TIMEOUT": f.cfg.Grace.String(),
		"SESSION_MODE":  f.cfg.SessionMode,
		"SEED":          f.seedOf(p.number),
		"REDIS_ADDR":    f.redisOfPods(),
		"LOG_LEVEL":     f.cfg.LogLevel,
	} {
		settings[config.PrefixJarvis+key] = value
	}
	if f.handsOver() {
		settings[config.PrefixJarvis+"ENDPOINTS"] = discovery.File(f.dir.endpointsFile()).String()
		settings[config.PrefixJarvis+"SESSION_STORE"] = f.cfg.SessionStore
		settings[config.PrefixJarvis+"HASH"] = string(f.cfg.meshPolicy())
		settings[config.PrefixJarvis+"RING_SIZE"] = strconv.FormatUint(f.cfg.RingSize, 10)
	}
	if f.cfg.RedisTTL > 0 {
		settings[config.PrefixJarvis+"REDIS_TTL"] = f.cfg.RedisTTL.String()
	}
	return proc.Spec{
		Path: f.programs.jarvis,
		Env:  f.environ.with(settings).overridden(config.PrefixJarvis, f.cfg.Env),
		Log:  f.dir.log(name),
	}
}
