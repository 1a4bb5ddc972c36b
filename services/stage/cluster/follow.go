package cluster

import (
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// of are an app's pods by name, and a channel that is closed once something has changed. They must not be changed.
func (f *Fleet) of(app string) ([]*corev1.Pod, <-chan struct{}) {
	all, changed := f.pods.Look()
	var out []*corev1.Pod
	for _, pod := range all {
		if pod.Labels[appLabel] == app {
			out = append(out, pod)
		}
	}
	return out, changed
}

// keepVersions is how many versions of the endpoints are told of.
const keepVersions = 512

// ledger are the versions of the endpoints, each with the time at which it was heard of.
type ledger struct {
	mu      sync.Mutex
	history []*fleetv1.Endpoints
}

func (l *ledger) note(set endpoints.Set, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &fleetv1.Endpoints{Version: 1, Written: timestamppb.New(now)}
	if last := len(l.history); last > 0 {
		e.Version = l.history[last-1].GetVersion() + 1
	}
	for _, p := range set.Endpoints {
		e.Endpoints = append(e.Endpoints, &fleetv1.Endpoint{Pod: p.Pod, Address: p.Address, Health: p.Health.String()})
	}
	l.history = append(l.history, e)
	if over := len(l.history) - keepVersions; over > 0 {
		l.history = slices.Clone(l.history[over:])
	}
}

// all is oldest first.
func (l *ledger) all() []*fleetv1.Endpoints {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.history)
}

// last is nil before the first.
func (l *ledger) last() *fleetv1.Endpoints {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.history) == 0 {
		return nil
	}
	return l.history[len(l.history)-1]
}
