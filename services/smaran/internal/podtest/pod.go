package podtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// Pod serves jarvis.v1.
type Pod struct {
	Name, Address, Incarnation string

	server *http.Server

	mu       sync.Mutex
	sessions map[session.ID]*conversation
	headers  []http.Header
	refuse   func(procedure string) error
	hung     chan struct{}
	watchers int
	offers   []*jarvisv1.OfferRequest
	asked    []*jarvisv1.InferRequest
	through  string
}

// conversation is what a pod knows of a session.
type conversation struct {
	turn, epoch uint64
	// events is not nil while the pod holds the call.
	events chan *jarvisv1.WatchResponse
}

// eventBuffer lets a test send events before anybody watches.
const eventBuffer = 16

// Start starts a pod on a free port of 127.0.0.1. It ends with the test, if it was not killed before.
func Start(t testing.TB, name string) *Pod {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Pod{
		Name: name, Address: l.Addr().String(), Incarnation: uuid.NewString(), sessions: map[session.ID]*conversation{},
	}
	mux := http.NewServeMux()
	mux.Handle(jarvisv1connect.NewJarvisServiceHandler(handler{pod: p}, connect.WithInterceptors(session.Interceptor(session.Lenient))))
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.headers = append(p.headers, r.Header.Clone())
		hung := p.hung
		p.mu.Unlock()
		if hung != nil {
			select {
			case <-hung:
			case <-r.Context().Done():
			}
		}
		w.Header().Set(wire.HeaderPod, p.Name)
		w.Header().Set(wire.HeaderIncarnation, p.Incarnation)
		mux.ServeHTTP(w, r)
	})}
	go func() { _ = p.server.Serve(l) }() // ends with Kill
	t.Cleanup(p.Kill)
	return p
}

// Kill ends the pod as SIGKILL would: every connection breaks, and nothing listens any more.
func (p *Pod) Kill() { _ = p.server.Close() }

// Headers are those of the requests so far.
func (p *Pod) Headers() []http.Header {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]http.Header(nil), p.headers...)
}

// Refuse has every request but Status fail as f says; nil ends that.
func (p *Pod) Refuse(f func(procedure string) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = f
}

// Hang has requests wait until the test ends or their callers give up, as those to a frozen process do.
func (p *Pod) Hang(t testing.TB) {
	hung := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hung = hung
	t.Cleanup(func() { close(hung) })
}

// Holds reports whether the pod holds the session's call.
func (p *Pod) Holds(id session.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.sessions[id]
	return c != nil && c.events != nil
}

// Send sends an event to whoever watches the session's call; nil breaks their stream off.
func (p *Pod) Send(id session.ID, event *jarvisv1.WatchResponse) {
	p.mu.Lock()
	events := p.sessions[id].events
	p.mu.Unlock()
	events <- event
}

// Offers are those that were made so far, refused ones included.
func (p *Pod) Offers() []*jarvisv1.OfferRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.offers)
}

// Asked are the questions so far.
func (p *Pod) Asked() []*jarvisv1.InferRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Through has answers say that another pod passed their requests on; empty ends that.
func (p *Pod) Through(pod string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.through = pod
}

// Place puts up a call of the session, as an offer does.
func (p *Pod) Place(id session.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conversation(id).events = make(chan *jarvisv1.WatchResponse, eventBuffer)
}

// Watchers is how many event streams are open.
func (p *Pod) Watchers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.watchers
}

// Forget ends a session without telling anybody.
func (p *Pod) Forget(id session.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, id)
}

// Know makes the pod know an epoch of a session.
func (p *Pod) Know(id session.ID, epoch uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conversation(id).epoch = epoch
}

// NotHeld is the error owner_moved as a pod sends it.
func NotHeld(owner string, epoch uint64) error {
	err := connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%s: the call is elsewhere", wire.CodeOwnerMoved))
	detail, _ := connect.NewErrorDetail(&jarvisv1.CallNotHeld{Owner: owner, Epoch: epoch}) // such a message always marshals
	err.AddDetail(detail)
	return err
}

func (p *Pod) conversation(id session.ID) *conversation {
	c := p.sessions[id]
	if c == nil {
		c = &conversation{}
		p.sessions[id] = c
	}
	return c
}

// admit runs f on the session's conversation unless the request is refused.
func (p *Pod) admit(ctx context.Context, req connect.AnyRequest, f func(*conversation) error) (*jarvisv1.Served, error) {
	id, _ := session.FromContext(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		if err := p.refuse(req.Spec().Procedure); err != nil {
			return nil, err
		}
	}
	c := p.conversation(id)
	if text := req.Header().Get(wire.HeaderEpoch); text != "" {
		epoch, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, err)
		}
		if epoch < c.epoch {
			return nil, NotHeld("", c.epoch)
		}
		c.epoch = epoch
	}
	if err := f(c); err != nil {
		return nil, err
	}
	return &jarvisv1.Served{
		Pod: p.Name, Address: p.Address, Incarnation: p.Incarnation, Session: string(id),
		Turn: c.turn, Checksum: fmt.Sprintf("%016x", c.turn), Epoch: c.epoch, CallHeld: c.events != nil, Through: p.through,
	}, nil
}

// held runs f only where the pod holds the call.
func held(f func(*conversation) error) func(*conversation) error {
	return func(c *conversation) error {
		if c.events == nil {
			return NotHeld("", c.epoch)
		}
		return f(c)
	}
}
