package podtest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/registry"
)

// Fleet is pods and the endpoints that list them. It is a backend.Endpoints.
type Fleet struct {
	t testing.TB

	mu      sync.Mutex
	set     endpoints.Set
	version int
	pods    map[string]*Pod
	leases  map[string]context.CancelFunc
	client  *redis.Client
	meshes  []*proxy
	closed  sync.WaitGroup
}

// NewFleet starts n pods, jarvis-0 and so on, all listed as healthy.
func NewFleet(t testing.TB, n int) *Fleet {
	t.Helper()
	f := &Fleet{t: t, pods: map[string]*Pod{}, leases: map[string]context.CancelFunc{}}
	t.Cleanup(func() {
		for _, stop := range f.leases {
			stop()
		}
		f.closed.Wait()
	})
	for i := range n {
		f.Add(fmt.Sprintf("jarvis-%d", i))
	}
	return f
}

// T is the test that the fleet belongs to.
func (f *Fleet) T() testing.TB { return f.t }

// Current implements backend.Endpoints.
func (f *Fleet) Current() endpoints.Set {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.set
}

// Pod returns a pod, also one that is not listed any more.
func (f *Fleet) Pod(name string) *Pod {
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Contains(f.t, f.pods, name)
	return f.pods[name]
}

// Add starts a pod and lists it.
func (f *Fleet) Add(name string) *Pod {
	p := Start(f.t, name)
	f.mu.Lock()
	f.pods[name] = p
	f.mu.Unlock()
	f.lease(p)
	f.change(func(list []endpoints.Endpoint) []endpoints.Endpoint {
		return append(list, endpoints.Endpoint{Pod: name, Address: p.Address, Health: endpoints.Healthy})
	})
	return p
}

// Unlist takes a pod out of the endpoints, and lets its process be.
func (f *Fleet) Unlist(name string) {
	f.change(func(list []endpoints.Endpoint) []endpoints.Endpoint {
		return slices.DeleteFunc(list, func(e endpoints.Endpoint) bool { return e.Pod == name })
	})
}

// Remove ends a pod's lease, kills it and takes it out of the endpoints.
func (f *Fleet) Remove(name string) {
	f.EndLease(name)
	f.Pod(name).Kill()
	f.Unlist(name)
}

// SetHealth lists a pod with another health.
func (f *Fleet) SetHealth(name string, h endpoints.Health) {
	f.change(func(list []endpoints.Endpoint) []endpoints.Endpoint {
		for i := range list {
			if list[i].Pod == name {
				list[i].Health = h
			}
		}
		return list
	})
}

func (f *Fleet) change(edit func([]endpoints.Endpoint) []endpoints.Endpoint) {
	f.mu.Lock()
	f.version++
	f.set = endpoints.Set{Version: strconv.Itoa(f.version), Endpoints: edit(slices.Clone(f.set.Endpoints))}
	set, meshes := f.set, f.meshes
	f.mu.Unlock()
	for _, m := range meshes {
		m.follow(f.t, set)
	}
}

// HoldLeases registers all pods, and those to come, in client's Redis, and returns once they are in it.
func (f *Fleet) HoldLeases(client *redis.Client) {
	f.mu.Lock()
	f.client = client
	var pods []*Pod
	for _, p := range f.pods {
		pods = append(pods, p)
	}
	f.mu.Unlock()
	for _, p := range pods {
		f.lease(p)
	}
}

func (f *Fleet) lease(p *Pod) {
	f.mu.Lock()
	client := f.client
	f.mu.Unlock()
	if client == nil {
		return
	}
	lease, err := registry.NewLease(registry.LeaseConfig{
		Client: client, Pod: p.Name, Address: p.Address, Incarnation: p.Incarnation,
		Status: func() registry.Status {
			p.mu.Lock()
			defer p.mu.Unlock()
			return registry.Status{State: registry.StateReady, Sessions: len(p.sessions)}
		},
		Owned: p.owned,
		Log:   slog.New(slog.DiscardHandler),
	})
	require.NoError(f.t, err)
	ctx, stop := context.WithCancel(context.Background())
	f.mu.Lock()
	f.leases[p.Name] = stop
	f.mu.Unlock()
	f.closed.Go(func() { _ = lease.Run(ctx) })
	require.Eventually(f.t, func() bool {
		return client.HGet(f.t.Context(), "pod:"+p.Name, "incarnation").Val() == p.Incarnation
	}, Wait, Poll)
}

// owned lists the sessions that the pod knows an epoch of.
func (p *Pod) owned() []registry.Ownership {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []registry.Ownership
	for id, c := range p.sessions {
		if c.epoch > 0 {
			out = append(out, registry.Ownership{Session: id, Epoch: c.epoch})
		}
	}
	return out
}

// EndLease ends a pod's lease, as time would after its death.
func (f *Fleet) EndLease(name string) {
	f.mu.Lock()
	stop, client := f.leases[name], f.client
	delete(f.leases, name)
	f.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	require.Eventually(f.t, func() bool { return client.Exists(f.t.Context(), "pod:"+name).Val() == 0 }, Wait, Poll)
}
