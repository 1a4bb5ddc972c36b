package fakefleet

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// URL is the coordinator's, over Transport.
const URL = "http://fleet.test"

// Times of the simulated model and of a restart.
const (
	Cold    = 850 * time.Millisecond
	Warm    = 100 * time.Millisecond
	Restart = time.Second
)

// SettleMargin is what the fleet says of how long a change of its endpoints takes to reach everyone.
const SettleMargin = 500 * time.Millisecond

// Route chooses among the pods that are in rotation, in the order in which they joined. session is empty without a header.
type Route func(session string, hosts []affinity.Host) int

// Ring routes as Envoy's ring hash does.
func Ring(session string, hosts []affinity.Host) int {
	p, err := affinity.NewRing(hosts, affinity.Options{})
	if err != nil {
		return -1
	}
	return p.Pick(affinity.HashValue(session), 0)
}

// Fleet is one fleet. The zero value is not usable; see New.
type Fleet struct {
	network *Network
	server  *http.Server
	served  sync.WaitGroup

	// Intercept, optional, may answer a request itself, and says whether it did.
	Intercept func(http.ResponseWriter, *http.Request) bool
	// Grant, optional, is asked whether a call on standby gets its session, and may take its time.
	Grant func() bool
	// Requests that came, by "METHOD path", and the headers of each offer.
	mu       sync.Mutex
	route    Route
	lenient  bool
	pods     []*pod
	joined   int
	history  []*fleetv1.Endpoints
	requests map[string]int
	offers   []http.Header
	placed   int
	tokens   map[string]destination
	streams  map[*stream]bool
	down     bool
	died     chan struct{}
	err      error
}

// New serves a fleet of n pods until Down.
func New(n int, route Route) *Fleet {
	f := &Fleet{
		network: NewNetwork(), route: route, requests: map[string]int{}, tokens: map[string]destination{},
		streams: map[*stream]bool{}, died: make(chan struct{}),
	}
	f.resize(n)
	f.server = &http.Server{Handler: f.handler()}
	f.served.Go(func() { _ = f.server.Serve(f.network) }) // ends with Down
	return f
}

// Count of requests by "METHOD path".
func (f *Fleet) Count(request string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[request]
}

// Offers are the headers of each offer so far.
func (f *Fleet) Offers() []http.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.offers)
}

// Holder is the name of the pod that holds a session's call, or empty.
func (f *Fleet) Holder(session string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.holder(session); p != nil {
		return p.name
	}
	return ""
}

// Die ends the fleet as if it had crashed.
func (f *Fleet) Die(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	close(f.died)
}

// Died implements driver.Fleet.
func (f *Fleet) Died() <-chan struct{} { return f.died }

// Err implements driver.Fleet.
func (f *Fleet) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Down implements driver.Fleet.
func (f *Fleet) Down(context.Context) error {
	f.mu.Lock()
	f.down = true
	for _, p := range f.pods {
		p.die()
	}
	for s := range f.streams {
		s.cut()
	}
	f.mu.Unlock()
	err := f.server.Close()
	f.served.Wait()
	return err
}

// IsDown says whether Down was called.
func (f *Fleet) IsDown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down
}

// Status implements driver.Fleet.
func (f *Fleet) Status(context.Context) (*fleetv1.StatusResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &fleetv1.StatusResponse{
		Backend: "istio-hash", Policy: string(affinity.PolicyRing), RingSize: affinity.DefaultMinRingSize, SmaranUrl: URL, History: slices.Clone(f.history),
		SettleMargin: durationpb.New(SettleMargin),
	}, nil
}

// Do implements driver.Fleet for scale, kill and smaran=kill; a kill hits the first pod unless it is named.
func (f *Fleet) Do(ctx context.Context, e scenario.Event) (string, error) {
	switch e.Kind {
	case scenario.KindScale:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.resize(e.Pods)
		return "", nil
	case scenario.KindKill:
		return f.kill(ctx, e.Pod)
	case scenario.KindSmaran:
		f.mu.Lock()
		defer f.mu.Unlock()
		for s := range f.streams {
			s.cut()
		}
		return "", nil
	default:
		return "", fmt.Errorf("%w: the fake fleet can't %s", scenario.ErrEvent, e.Name())
	}
}

func (f *Fleet) kill(ctx context.Context, name string) (string, error) {
	f.mu.Lock()
	i := max(0, slices.IndexFunc(f.pods, func(p *pod) bool { return p.name == name }))
	victim := f.pods[i]
	victim.die()
	f.mu.Unlock()
	timer := time.NewTimer(Restart)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return victim.name, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pods[i] = newPod(victim.name, victim.address)
	f.publish()
	return victim.name, nil
}

// resize is called with mu held.
func (f *Fleet) resize(n int) {
	for len(f.pods) > n {
		last := f.pods[len(f.pods)-1]
		last.die()
		f.pods = f.pods[:len(f.pods)-1]
	}
	for len(f.pods) < n {
		f.joined++
		f.pods = append(f.pods, newPod(fmt.Sprint("jarvis-", f.joined), fmt.Sprintf("127.0.0.%d:18080", 10+f.joined)))
	}
	f.publish()
}

// publish is called with mu held.
func (f *Fleet) publish() {
	v := &fleetv1.Endpoints{Version: uint64(len(f.history) + 1), Written: timestamppb.New(time.Now())}
	for _, p := range f.pods {
		v.Endpoints = append(v.Endpoints, &fleetv1.Endpoint{Pod: p.name, Address: p.address, Health: endpoints.Healthy.String()})
	}
	f.history = append(f.history, v)
}

// hosts is called with mu held.
func (f *Fleet) hosts() []affinity.Host {
	var out []affinity.Host
	for _, p := range f.pods {
		out = append(out, affinity.Host{Address: p.address})
	}
	return out
}

// holder is the pod of the session's latest call. It is called with mu held.
func (f *Fleet) holder(session string) (latest *pod) {
	for _, p := range f.pods {
		if c := p.calls[session]; c != nil && !p.dead && (latest == nil || c.number > latest.calls[session].number) {
			latest = p
		}
	}
	return latest
}

// Driver brings up one prepared fleet a time.
type Driver struct {
	mu sync.Mutex
	// Fleets in the order in which Up hands them out.
	Fleets []*Fleet
	// Err, where set, is what Up fails with.
	Err error
	// Specs that Up was given.
	Specs []driver.Spec
}

// Name implements driver.Driver.
func (*Driver) Name() string { return "fake" }

// Up implements driver.Driver.
func (d *Driver) Up(_ context.Context, s driver.Spec) (driver.Fleet, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Specs = append(d.Specs, s)
	if d.Err != nil {
		return nil, d.Err
	}
	f := d.Fleets[0]
	d.Fleets = d.Fleets[1:]
	f.lenient = s.Lenient
	return f, nil
}
