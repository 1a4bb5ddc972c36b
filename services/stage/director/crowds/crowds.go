package crowds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// How a stream ends that the crowd did not end itself.
var (
	// ErrHello: the first message was no hello, or none came in time. CodeInvalidArgument.
	ErrHello = errors.New("a crowd begins with a hello")
	// ErrLane: there is no such lane. CodeNotFound.
	ErrLane = errors.New("no such lane")
	// ErrReplaced: another crowd attached itself to the lane. CodeAborted.
	ErrReplaced = errors.New("another crowd took this one's place")
	// ErrClosed: the stage goes down. CodeUnavailable.
	ErrClosed = errors.New("the stage is closed")
)

// helloTime is how long a stream may take to say which lane it is for.
const helloTime = 10 * time.Second

// Stream is one crowd's.
type Stream = connect.BidiStream[stagev1.AttachRequest, stagev1.AttachResponse]

// Audience is told what crowds do. It is quick, since crowds wait for it, and safe for concurrent use.
type Audience interface {
	// Attached says whether a lane has a crowd. One that is replaced is not told of.
	Attached(lane string, attached bool)
	// Observed is what a lane's crowd saw.
	Observed(lane string, o *stagev1.Observations)
}

// Crowds is stagev1connect.CrowdServiceHandler. It is safe for concurrent use.
type Crowds struct {
	audience Audience
	clock    clockwork.Clock
	log      *slog.Logger
	closed   chan struct{}
	running  sync.WaitGroup

	mu    sync.Mutex
	lanes map[string]*lane
}

type lane struct {
	order *stagev1.CrowdOrder
	// changed is closed when there is another order.
	changed chan struct{}
	// replaced is the current crowd's, closed when another takes its place; nil without one.
	replaced chan struct{}
}

// New waits for crowds of these lanes.
func New(lanes []string, a Audience, clock clockwork.Clock, log *slog.Logger) *Crowds {
	c := &Crowds{audience: a, clock: clock, log: log, closed: make(chan struct{}), lanes: map[string]*lane{}}
	for _, id := range lanes {
		c.lanes[id] = &lane{changed: make(chan struct{})}
	}
	return c
}

// Order is what a lane's crowd is to do from now on, whenever it comes. The order must not be changed any more.
func (c *Crowds) Order(id string, o *stagev1.CrowdOrder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.lanes[id]; l != nil {
		l.order = o
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// Close ends all streams, and returns when they have ended. It must be called once.
func (c *Crowds) Close() {
	c.mu.Lock() // no stream begins to run meanwhile
	close(c.closed)
	c.mu.Unlock()
	c.running.Wait()
}

// Attach implements stagev1connect.CrowdServiceHandler.
func (c *Crowds) Attach(ctx context.Context, s *Stream) error {
	if !c.begin() {
		return connect.NewError(connect.CodeUnavailable, ErrClosed)
	}
	defer c.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := c.listen(ctx, s)
	id, err := c.hello(ctx, heard)
	if err != nil {
		return err
	}
	replaced := c.take(id)
	defer c.leave(id, replaced)
	c.log.Info("a crowd attached itself", "lane", id)
	return c.serve(ctx, id, s, heard, replaced)
}

func (c *Crowds) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return false
	default:
		c.running.Add(1)
		return true
	}
}

// message is what was received, or why nothing more will be.
type message struct {
	request *stagev1.AttachRequest
	err     error
}

// listen receives until the stream ends, which it does at the latest when the handler returns.
func (c *Crowds) listen(ctx context.Context, s *Stream) <-chan message {
	heard := make(chan message)
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		for {
			r, err := s.Receive()
			select {
			case heard <- message{r, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return heard
}

func (c *Crowds) hello(ctx context.Context, heard <-chan message) (string, error) {
	patience := c.clock.NewTimer(helloTime)
	defer patience.Stop()
	var hello *stagev1.CrowdHello
	select {
	case <-c.closed:
		return "", connect.NewError(connect.CodeUnavailable, ErrClosed)
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-patience.Chan():
	case m := <-heard:
		if m.err != nil {
			return "", m.err
		}
		hello = m.request.GetHello()
	}
	if hello == nil {
		return "", connect.NewError(connect.CodeInvalidArgument, ErrHello)
	}
	if c.lanes[hello.GetLane()] == nil {
		return "", connect.NewError(connect.CodeNotFound, fmt.Errorf("%w: got %q, there are %s", ErrLane, hello.GetLane(), strings.Join(slices.Sorted(maps.Keys(c.lanes)), ", ")))
	}
	return hello.GetLane(), nil
}

// take makes a crowd the lane's.
func (c *Crowds) take(id string) (replaced chan struct{}) {
	replaced = make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[id]
	if l.replaced != nil {
		close(l.replaced)
	}
	l.replaced = replaced
	c.audience.Attached(id, true)
	return replaced
}

// leave says that a lane has no crowd any more, unless another is there.
func (c *Crowds) leave(id string, replaced chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[id]
	if l.replaced != replaced {
		return
	}
	l.replaced = nil
	c.audience.Attached(id, false)
	c.log.Info("a crowd is gone", "lane", id)
}

// serve tells each order once, and hands on what comes.
func (c *Crowds) serve(ctx context.Context, id string, s *Stream, heard <-chan message, replaced <-chan struct{}) error {
	var told *stagev1.CrowdOrder
	for {
		order, changed := c.current(id)
		if order != told {
			if err := s.Send(&stagev1.AttachResponse{Order: order}); err != nil {
				return err
			}
			told = order
		}
		select {
		case <-c.closed:
			return connect.NewError(connect.CodeUnavailable, ErrClosed)
		case <-replaced:
			return connect.NewError(connect.CodeAborted, ErrReplaced)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case m := <-heard:
			if m.err != nil {
				return ended(m.err)
			}
			if o := m.request.GetObservations(); o != nil && !isClosed(replaced) {
				c.audience.Observed(id, o)
			}
		}
	}
}

func (c *Crowds) current(id string) (*stagev1.CrowdOrder, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lanes[id].order, c.lanes[id].changed
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// ended is nil where the crowd said that it has no more to say.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
