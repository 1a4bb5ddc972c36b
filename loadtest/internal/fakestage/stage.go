package fakestage

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/proto/stage/v1/stagev1connect"
)

// Stage has one crowd at a time. It is safe for concurrent use.
type Stage struct {
	server *http.Server
	served sync.WaitGroup
	orders chan *stagev1.CrowdOrder
	ends   chan error

	mu     sync.Mutex
	hellos []*stagev1.CrowdHello
	told   []Told
	// deaf is nil while it reads, and else closed when it does again.
	deaf chan struct{}
}

// Told is one message of a crowd, and when it came.
type Told struct {
	At time.Time
	*stagev1.Observations
}

// Open serves until Close, which closes the listener too.
func Open(l net.Listener) *Stage {
	s := &Stage{orders: make(chan *stagev1.CrowdOrder), ends: make(chan error)}
	mux := http.NewServeMux()
	mux.Handle(stagev1connect.NewCrowdServiceHandler(s))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{Handler: mux, Protocols: protocols}
	s.served.Go(func() { _ = s.server.Serve(l) }) // ends with Close
	return s
}

// Close ends all streams as a stage does that dies.
func (s *Stage) Close() {
	_ = s.server.Close()
	s.served.Wait()
}

// Order gives an order to the crowd that is attached, or to the next one, and returns once it is sent, or ctx ends.
func (s *Stage) Order(ctx context.Context, o *stagev1.CrowdOrder) {
	select {
	case s.orders <- o:
	case <-ctx.Done():
	}
}

// End ends the stream of the crowd that is attached, or of the next one, with an error, and returns once that is so, or ctx ends.
func (s *Stage) End(ctx context.Context, why error) {
	select {
	case s.ends <- why:
	case <-ctx.Done():
	}
}

// Deafen has it read nothing until Listen.
func (s *Stage) Deafen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = make(chan struct{})
}

// Listen ends Deafen.
func (s *Stage) Listen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.deaf)
	s.deaf = nil
}

// Hellos of all crowds that attached.
func (s *Stage) Hellos() []*stagev1.CrowdHello {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hellos)
}

// Take is what it was told since the last Take.
func (s *Stage) Take() []Told {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.told
	s.told = nil
	return out
}

// Attach implements stage.v1.
func (s *Stage) Attach(ctx context.Context, stream *connect.BidiStream[stagev1.AttachRequest, stagev1.AttachResponse]) error {
	first, err := stream.Receive()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.hellos = append(s.hellos, first.GetHello())
	s.mu.Unlock()
	ctx, over := context.WithCancel(ctx)
	defer over()
	s.served.Go(func() { s.hear(ctx, stream) }) // ends with the stream
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case why := <-s.ends:
			return why
		case o := <-s.orders:
			if err := stream.Send(&stagev1.AttachResponse{Order: o}); err != nil {
				return err
			}
		}
	}
}

// hear keeps what it is told.
func (s *Stage) hear(ctx context.Context, stream *connect.BidiStream[stagev1.AttachRequest, stagev1.AttachResponse]) {
	for s.hearing(ctx) == nil {
		req, err := stream.Receive()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.told = append(s.told, Told{time.Now(), req.GetObservations()})
		s.mu.Unlock()
	}
}

// hearing waits until the stage reads.
func (s *Stage) hearing(ctx context.Context) error {
	s.mu.Lock()
	deaf := s.deaf
	s.mu.Unlock()
	if deaf == nil {
		return nil
	}
	select {
	case <-deaf:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
