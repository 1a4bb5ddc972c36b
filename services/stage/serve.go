package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/recording"
)

// ErrToken is matched by the error of a stage that others could steer: it listens beyond loopback, and has no token.
var ErrToken = errors.New("no token")

// Server is all that serves one stage.
type Server struct {
	Options
	// Listener is the page's. Serve closes it, and Crowds.
	Listener net.Listener
	// Crowds, where crowds attach to Director; nil: they can't.
	Crowds net.Listener
	// Director fills the scene. Nil: somebody else does. It carries out orders where it is Options.Doer too.
	Director *director.Director
	// Recorder keeps what is shown; nil: nothing does. Serve closes it.
	Recorder *recording.Recorder
	// Over, once it is closed, ends the recording before the rest: how a fleet goes down is no part of a show. Nil: it ends with the rest.
	Over <-chan struct{}
	// Grace is how long requests in flight may take at the end.
	Grace time.Duration
}

// Serve runs the servers, the director, the recording that is played and the one that is made until ctx ends, and waits for all of them. A
// recording that can't go on is logged, and fails the show at its end alone. It fails with ErrToken and ErrOptions before it serves.
func Serve(ctx context.Context, s Server) error {
	handler, err := s.handler()
	if err != nil {
		return errors.Join(err, s.close())
	}
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		return httpserver.Serve(running, s.Log, httpserver.Options{Name: "stage", Listener: s.Listener, Handler: handler, ShutdownGrace: s.Grace})
	})
	if s.Crowds != nil {
		group.Go(func() error {
			return httpserver.Serve(running, s.Log, httpserver.Options{
				Name: "crowds", Listener: s.Crowds, Handler: CrowdHandler(s.Director), ShutdownGrace: s.Grace})
		})
	}
	runs := func(run func(context.Context) error) {
		group.Go(func() error {
			if err := run(running); running.Err() == nil {
				return err
			}
			return nil
		})
	}
	if s.Director != nil {
		runs(s.Director.Run)
	}
	if s.Player != nil {
		runs(s.Player.Run)
	}
	recorded := make(chan error, 1)
	go func() { recorded <- s.record(running) }()
	return errors.Join(group.Wait(), <-recorded)
}

// close is for what was not served.
func (s *Server) close() error {
	err := s.Listener.Close()
	if s.Crowds != nil {
		err = errors.Join(err, s.Crowds.Close())
	}
	if s.Recorder != nil {
		err = errors.Join(err, s.Recorder.Close())
	}
	return err
}

func (s *Server) handler() (handler http.Handler, err error) {
	if err := s.complete(); err != nil {
		return nil, err
	}
	if s.Crowds != nil && s.Director == nil {
		return nil, fmt.Errorf("%w: a listener for crowds, and no director", ErrOptions)
	}
	if s.steerable() && s.Token == "" && !OnLoopback(s.Listener.Addr()) {
		return nil, fmt.Errorf("%w: whoever reaches %s could steer the stage: expected loopback, or a token", ErrToken, s.Listener.Addr())
	}
	return New(s.Options)
}

func (s *Server) record(ctx context.Context) error {
	if s.Recorder == nil {
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-s.Over:
			stop()
		case <-ctx.Done():
		}
	}()
	err := s.Recorder.Run(ctx, s.Scene)
	if err != nil {
		s.Log.Error("recording", "error", err)
	}
	return err
}

// OnLoopback is whether no other machine reaches what listens at an address.
func OnLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// URL is the page of a stage that listens at an address, as this machine's browser reaches it. The token is in the fragment, which no
// request carries.
func URL(listens net.Addr, token string) string {
	u := url.URL{Scheme: "http", Host: listens.String(), Path: "/"}
	if tcp, ok := listens.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		// A browser gives a microphone to loopback, and to other names over TLS alone.
		u.Host = net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
	}
	if token == "" {
		return u.String()
	}
	return u.String() + "#token=" + strings.ReplaceAll(url.QueryEscape(token), "+", "%20")
}
