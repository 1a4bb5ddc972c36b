package director_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/proto/stage/v1/stagev1connect"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// rig is a director with scripted lanes, in a bubble: time passes when everybody waits, and a goroutine left over fails the test.
type rig struct {
	*testing.T
	*director.Director
	scene *scene.Scene
	place *place
	// stage is where crowds attach themselves.
	stage *http.Client

	ctx  context.Context
	stop context.CancelFunc
}

// seed of what crowds are told.
const seed = 7

func inBubble(t *testing.T, p *place, change func(*director.Options), test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		clock := clockwork.NewRealClock()
		r := &rig{T: t, scene: scene.New(clock), place: p}
		listeners := map[string]*pipes{"stage:80": newPipes()}
		var servers []*httptest.Server
		for id, f := range p.fleets {
			l := newPipes()
			listeners["smaran-"+id+":80"] = l
			servers = append(servers, &httptest.Server{Listener: l, Config: &http.Server{Handler: f}})
		}
		dial := func(ctx context.Context, _, address string) (net.Conn, error) {
			l := listeners[address]
			if l == nil {
				return nil, fmt.Errorf("no such host: %s", address)
			}
			return l.dial(ctx)
		}
		toSmaran := &http.Transport{DialContext: dial}
		options := director.Options{
			Venue: p, Scene: r.scene, Clock: clock, Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Transport: toSmaran}, Seed: seed,
		}
		if change != nil {
			change(&options)
		}
		var err error
		r.Director, err = director.New(options)
		require.NoError(t, err)

		mux := http.NewServeMux()
		mux.Handle(stagev1connect.NewCrowdServiceHandler(r.Director))
		stage := &httptest.Server{Listener: listeners["stage:80"], Config: &http.Server{Handler: mux, Protocols: new(http.Protocols)}}
		stage.Config.Protocols.SetUnencryptedHTTP2(true)
		toStage := &http.Transport{DialContext: dial, Protocols: new(http.Protocols)}
		toStage.Protocols.SetUnencryptedHTTP2(true)
		r.stage = &http.Client{Transport: toStage}
		for _, s := range append(servers, stage) {
			s.Start()
		}

		r.ctx, r.stop = context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := r.Director.Run(r.ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Run ended with %v", err)
			}
		})
		defer func() {
			r.stop()
			running.Wait()
			toStage.CloseIdleConnections()
			toSmaran.CloseIdleConnections()
			for _, s := range append(servers, stage) {
				s.Close()
			}
		}()
		r.pass(time.Second)
		test(r)
	})
}

// pass lets time pass in the bubble.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) order(o director.Order) uint32 {
	group, err := r.Do(r.Context(), o)
	require.NoError(r, err)
	return group
}

// refused is the error of an order that began nothing.
func (r *rig) refused(o director.Order) error {
	before := len(r.all().GetEvents())
	_, err := r.Do(r.Context(), o)
	require.Error(r, err)
	r.pass(time.Second)
	require.Len(r, r.all().GetEvents(), before, "nothing began")
	return err
}

// all is what the scene shows.
func (r *rig) all() *stagev1.Frame {
	f, _ := r.scene.Frame(0)
	return proto.CloneOf(f)
}

func (r *rig) lane(id string) *stagev1.Lane {
	for _, l := range r.all().GetLanes() {
		if l.GetId() == id {
			return l
		}
	}
	require.Fail(r, "no such lane", id)
	return nil
}

// pod of a lane, nil where there is none.
func (r *rig) pod(lane, name string) *stagev1.Pod {
	for _, p := range r.all().GetPods() {
		if p.GetLane() == lane && p.GetName() == name {
			return p
		}
	}
	return nil
}

// session of a lane, nil where there is none.
func (r *rig) session(lane, id string) *stagev1.Session {
	for _, s := range r.all().GetSessions() {
		if s.GetLane() == lane && s.GetId() == id {
			return s
		}
	}
	return nil
}

// events of a group, by lane.
func (r *rig) events(group uint32) map[string]*stagev1.Event {
	out := map[string]*stagev1.Event{}
	for _, e := range r.all().GetEvents() {
		if e.GetGroup() == group {
			out[e.GetLane()] = e
		}
	}
	return out
}

func (r *rig) ring(lane string) *stagev1.Ring {
	for _, g := range r.all().GetRings() {
		if g.GetLane() == lane {
			return g
		}
	}
	return nil
}

func (r *rig) points(lane string) []*stagev1.Point {
	var out []*stagev1.Point
	for _, p := range r.all().GetPoints() {
		if p.GetLane() == lane {
			out = append(out, p)
		}
	}
	return out
}

// crowd is a scripted one, over a stream of its own.
type crowd struct {
	r      *rig
	stream *connect.BidiStreamForClient[stagev1.AttachRequest, stagev1.AttachResponse]
	cancel context.CancelFunc
	over   chan struct{}

	mu     sync.Mutex
	orders []*stagev1.CrowdOrder
	err    error
}

// attach has a crowd say a first message.
func (r *rig) attach(first *stagev1.AttachRequest) *crowd { return r.attachWith(r.ctx, first) }

func (r *rig) attachWith(ctx context.Context, first *stagev1.AttachRequest) *crowd {
	ctx, cancel := context.WithCancel(ctx)
	c := &crowd{r: r, cancel: cancel, over: make(chan struct{})}
	c.stream = stagev1connect.NewCrowdServiceClient(r.stage, "http://stage").Attach(ctx)
	require.NoError(r, c.stream.Send(first))
	go func() {
		defer close(c.over)
		for {
			res, err := c.stream.Receive()
			c.mu.Lock()
			if err != nil {
				c.err = err
				c.mu.Unlock()
				return
			}
			c.orders = append(c.orders, res.GetOrder())
			c.mu.Unlock()
		}
	}()
	r.Cleanup(c.leave)
	r.pass(200 * time.Millisecond)
	return c
}

func (r *rig) crowd(lane string) *crowd { return r.attach(hello(lane)) }

func hello(lane string) *stagev1.AttachRequest {
	return &stagev1.AttachRequest{Message: &stagev1.AttachRequest_Hello{Hello: &stagev1.CrowdHello{Lane: lane}}}
}

// leave breaks the stream, as the end of the process does.
func (c *crowd) leave() {
	c.cancel()
	_ = c.stream.CloseRequest() // a transport that waits for more to send does not look at ctx
	<-c.over
}

func (c *crowd) told() []*stagev1.CrowdOrder {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*stagev1.CrowdOrder{}, c.orders...)
}

// last order, nil before the first.
func (c *crowd) last() *stagev1.CrowdOrder {
	told := c.told()
	if len(told) == 0 {
		return nil
	}
	return told[len(told)-1]
}

// ended is the error with which the stage ended the stream.
func (c *crowd) ended() error {
	<-c.over
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// tells sends what callers saw, of the last order's take, and lets the scene be painted.
func (c *crowd) tells(o *stagev1.Observations) {
	if o.GetTake() == 0 {
		o.Take = c.last().GetTake()
	}
	require.NoError(c.r, c.stream.Send(&stagev1.AttachRequest{Message: &stagev1.AttachRequest_Observations{Observations: o}}))
	c.r.pass(150 * time.Millisecond)
}

// answers is one inference a session, answered by its pod just now.
func answers(state string, at map[string]string) *stagev1.Observations {
	o := &stagev1.Observations{}
	for id, pod := range at {
		o.Inferences = append(o.Inferences, inference(id, pod, state))
	}
	return o
}

func inference(id, pod, state string) *stagev1.CrowdInference {
	var number int
	_, _ = fmt.Sscanf(pod, "jarvis-%d", &number)
	return &stagev1.CrowdInference{
		Session: id, Pod: pod, Address: fmt.Sprintf("127.0.0.%d:8080", 10+number), State: state, Latency: ms(100), Ago: ms(0),
	}
}

func ms(n int) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Millisecond) }
