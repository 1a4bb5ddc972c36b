package director_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/wire"
)

// pipes is a network of one listener without a socket, so that a bubble's clock knows when everybody waits.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fleet is a lane's control API and its smaran, as a script has them.
type fleet struct {
	fleetv1connect.UnimplementedFleetServiceHandler

	mu     sync.Mutex
	status *fleetv1.StatusResponse
	newest int
	// own are the pods' own accounts, of those that answer smaran.
	own map[string]*jarvisv1.StatusResponse
	// down: neither answers.
	down       error
	smaranDown bool
	// hold keeps changes from being complete until it is closed; nil: they are at once.
	hold chan struct{}
	fail error
	did  []string
}

func newFleet(backend, policy string, pods int) *fleet {
	f := &fleet{status: &fleetv1.StatusResponse{
		Backend: backend, Policy: policy, Processes: []*fleetv1.Process{{Name: "redis", Running: true}},
	}, own: map[string]*jarvisv1.StatusResponse{}}
	if policy == "ring" {
		f.status.RingSize = 1024
	}
	f.setPods(pods)
	return f
}

// setPods adds new pods, or takes the newest away, and writes the endpoints.
func (f *fleet) setPods(n int) {
	for len(f.status.GetPods()) < n {
		f.newest++
		name := fmt.Sprintf("jarvis-%d", f.newest)
		f.status.Pods = append(f.status.Pods, &fleetv1.Pod{
			Name: name, Address: fmt.Sprintf("127.0.0.%d:8080", 10+f.newest), Phase: fleetv1.PodPhase_POD_PHASE_READY, Pid: int64(f.newest),
		})
		f.own[name] = &jarvisv1.StatusResponse{Pod: name, State: jarvisv1.PodState_POD_STATE_READY}
	}
	for _, p := range f.status.GetPods()[n:] {
		delete(f.own, p.GetName())
	}
	f.status.Pods = f.status.GetPods()[:n]
	f.write()
}

func (f *fleet) write(draining ...string) {
	e := &fleetv1.Endpoints{Version: uint64(len(f.status.GetHistory()) + 1)}
	for _, p := range f.status.GetPods() {
		health := "HEALTHY"
		if slices.Contains(draining, p.GetName()) {
			health = "DRAINING"
		}
		e.Endpoints = append(e.Endpoints, &fleetv1.Endpoint{Pod: p.GetName(), Address: p.GetAddress(), Health: health})
	}
	f.status.History = append(f.status.GetHistory(), e)
}

func (f *fleet) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fleet) pod(name string) *fleetv1.Pod {
	return f.status.GetPods()[slices.IndexFunc(f.status.GetPods(), func(p *fleetv1.Pod) bool { return p.GetName() == name })]
}

// hosts are those in the last endpoints.
func (f *fleet) hosts() []affinity.Host {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []affinity.Host
	for _, e := range f.status.GetHistory()[len(f.status.GetHistory())-1].GetEndpoints() {
		out = append(out, affinity.Host{Address: e.GetAddress()})
	}
	return out
}

func (f *fleet) done() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.did)
}

func (f *fleet) Status(context.Context, *connect.Request[fleetv1.StatusRequest]) (*connect.Response[fleetv1.StatusResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	return connect.NewResponse(proto.CloneOf(f.status)), nil
}

// does is one change: noted, held up, and failed if the script says so.
func does[M any](ctx context.Context, f *fleet, what string, reply *M, change func()) (*connect.Response[M], error) {
	f.mu.Lock()
	f.did = append(f.did, what)
	hold, fail := f.hold, f.fail
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, connect.NewError(connect.CodeCanceled, context.Cause(ctx))
		}
	}
	if fail != nil {
		return nil, fail
	}
	f.change(change)
	return connect.NewResponse(reply), nil
}

func (f *fleet) Scale(ctx context.Context, r *connect.Request[fleetv1.ScaleRequest]) (*connect.Response[fleetv1.ScaleResponse], error) {
	return does(ctx, f, fmt.Sprintf("scale %d", r.Msg.GetPods()), &fleetv1.ScaleResponse{}, func() { f.setPods(int(r.Msg.GetPods())) })
}

func (f *fleet) Kill(ctx context.Context, r *connect.Request[fleetv1.KillRequest]) (*connect.Response[fleetv1.KillResponse], error) {
	pod := r.Msg.GetPod()
	if pod == "" {
		pod = "jarvis-2"
	}
	return does(ctx, f, "kill "+pod, &fleetv1.KillResponse{Pod: pod}, func() {
		f.pod(pod).Restarts++
		f.own[pod] = &jarvisv1.StatusResponse{Pod: pod, State: jarvisv1.PodState_POD_STATE_READY}
	})
}

func (f *fleet) Stop(ctx context.Context, r *connect.Request[fleetv1.StopRequest]) (*connect.Response[fleetv1.StopResponse], error) {
	return does(ctx, f, "stop "+r.Msg.GetPod(), &fleetv1.StopResponse{Pod: r.Msg.GetPod()}, func() {})
}

func (f *fleet) Freeze(ctx context.Context, r *connect.Request[fleetv1.FreezeRequest]) (*connect.Response[fleetv1.FreezeResponse], error) {
	return does(ctx, f, "freeze "+r.Msg.GetPod(), &fleetv1.FreezeResponse{Pod: r.Msg.GetPod()}, func() {
		f.pod(r.Msg.GetPod()).Phase = fleetv1.PodPhase_POD_PHASE_FROZEN
	})
}

func (f *fleet) Thaw(ctx context.Context, _ *connect.Request[fleetv1.ThawRequest]) (*connect.Response[fleetv1.ThawResponse], error) {
	return does(ctx, f, "thaw", &fleetv1.ThawResponse{Pods: []string{"jarvis-1"}}, func() {
		for _, p := range f.status.GetPods() {
			p.Phase = fleetv1.PodPhase_POD_PHASE_READY
		}
	})
}

func (f *fleet) Rollout(ctx context.Context, _ *connect.Request[fleetv1.RolloutRequest]) (*connect.Response[fleetv1.RolloutResponse], error) {
	return does(ctx, f, "rollout", &fleetv1.RolloutResponse{}, func() {
		n := len(f.status.GetPods())
		f.status.Pods = nil
		clear(f.own)
		f.setPods(n)
	})
}

func (f *fleet) SetRedis(ctx context.Context, r *connect.Request[fleetv1.SetRedisRequest]) (*connect.Response[fleetv1.SetRedisResponse], error) {
	return does(ctx, f, fmt.Sprintf("redis %t", r.Msg.GetUp()), &fleetv1.SetRedisResponse{}, func() {
		f.status.GetProcesses()[0].Running = r.Msg.GetUp()
	})
}

func (f *fleet) KillSmaran(ctx context.Context, _ *connect.Request[fleetv1.KillSmaranRequest]) (*connect.Response[fleetv1.KillSmaranResponse], error) {
	return does(ctx, f, "smaran", &fleetv1.KillSmaranResponse{}, func() {})
}

// ServeHTTP is smaran.
func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.down != nil || f.smaranDown:
		w.WriteHeader(http.StatusBadGateway)
		return
	case r.URL.Path != wire.PathFleet || r.URL.Query().Get("sessions") != "true":
		w.WriteHeader(http.StatusNotFound)
		return
	}
	res := &smaranv1.GetFleetResponse{Backend: f.status.GetBackend()}
	for _, p := range f.status.GetPods() {
		own := f.own[p.GetName()]
		if own == nil || p.GetPhase() == fleetv1.PodPhase_POD_PHASE_FROZEN || p.GetPhase() == fleetv1.PodPhase_POD_PHASE_DEAD {
			res.Unreachable = append(res.Unreachable, p.GetAddress())
			continue
		}
		own.Address = p.GetAddress()
		res.Pods = append(res.Pods, own)
	}
	body, err := protojson.Marshal(res)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(body)
}

// keeps sets the sessions that a pod says it has.
func (f *fleet) keeps(pod string, list ...*jarvisv1.SessionStatus) {
	f.change(func() { f.own[pod].SessionList = list })
}

// place is a venue with one scripted fleet a lane.
type place struct {
	lanes  []venue.Lane
	fleets map[string]*fleet
	recast func(ctx context.Context, lane, backend string) error
}

var everyVerb = []venue.Verb{
	venue.Backend, venue.Scale, venue.Kill, venue.Drain, venue.Freeze, venue.Thaw, venue.Rollout, venue.Redis, venue.Smaran, venue.Load,
	venue.Header, venue.Reset,
}

func newPlace(fleets ...*fleet) *place {
	p := &place{fleets: map[string]*fleet{}}
	for i, f := range fleets {
		id := string(rune('a' + i))
		p.fleets[id] = f
		p.lanes = append(p.lanes, venue.Lane{
			ID: id, Smaran: "http://smaran-" + id, Fleet: f, Verbs: everyVerb,
			Backends: []string{"istio-hash", "redis"}, Pods: len(f.status.GetPods()),
		})
	}
	return p
}

func (p *place) Lanes() []venue.Lane { return p.lanes }

func (p *place) Recast(ctx context.Context, lane, backend string) error {
	if p.recast != nil {
		if err := p.recast(ctx, lane, backend); err != nil {
			return err
		}
	}
	f := p.fleets[lane]
	f.change(func() { f.status.Backend = backend })
	return nil
}

var errScripted = errors.New("scripted")
