// Package tunnel carries HTTP/2 over one connection against the direction in which it was dialled: who dialled serves, and who was
// dialled calls. So a process that may reach nothing, and that only one other can reach, still calls that one's API.
//
// It has no authentication of its own; what carries the connection decides who may dial.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/smaran-v2/smaran/loadtest/internal/keepalive"
)

// ErrClosed is returned for a call over a connection that has ended.
var ErrClosed = errors.New("the tunnel's connection has ended")

// protocols are HTTP/2 from the first byte on.
func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// Serve answers what comes over conn, and returns when conn has ended, closed by the other side or because ctx is over. It closes conn,
// and no handler runs any more when it returns: their contexts end with the connection.
func Serve(ctx context.Context, conn net.Conn, handler http.Handler) error {
	handlers := &gate{}
	listener := newSingle(conn)
	server := &http.Server{
		Protocols: protocols(), HTTP2: keepalive.Config(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if handlers.enter() {
				defer handlers.inside.Done()
				handler.ServeHTTP(w, r)
			}
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				_ = listener.Close() // the only one there will ever be
			}
		},
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	err := server.Serve(listener)
	_ = server.Close()
	<-listener.closed
	_ = conn.Close()
	handlers.close()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return context.Cause(ctx)
	}
	return err
}

// gate counts who is inside, and lets nobody in once it is closed: a request may be on its way to its handler when the connection ends.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.inside.Add(1)
	}
	return !g.closed
}

// close returns when nobody is inside any more.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
}

// Client calls the server at the other end of a connection, whatever host its URLs name.
type Client struct {
	*http.Client
	conn *watched
	http *http.ClientConn
}

// NewClient takes conn over, and closes it where it fails.
func NewClient(ctx context.Context, conn net.Conn) (*Client, error) {
	w := &watched{Conn: conn, ended: make(chan struct{})}
	transport := &http.Transport{
		Protocols: protocols(), HTTP2: keepalive.Config(),
		DialContext: func(context.Context, string, string) (net.Conn, error) { return w, nil },
	}
	over, err := transport.NewClientConn(ctx, "http", "tunnel:80") // a name that is never looked up
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("begin HTTP/2 over the tunnel: %w", err)
	}
	c := &Client{conn: w, http: over}
	c.Client = &http.Client{Transport: c}
	return c, nil
}

// RoundTrip implements http.RoundTripper. It fails with ErrClosed where the connection has ended.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.http.RoundTrip(r)
	if err != nil {
		select {
		case <-c.conn.ended:
			return nil, fmt.Errorf("%w: %w", ErrClosed, err)
		default:
		}
	}
	return res, err
}

// Close ends the connection. It may be called again.
func (c *Client) Close() error { return ignoreClosed(errors.Join(c.http.Close(), c.conn.Close())) }

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// watched tells when a connection has ended.
type watched struct {
	net.Conn
	once  sync.Once
	ended chan struct{}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.once.Do(func() { close(w.ended) })
	}
	return n, err
}

func (w *watched) Close() error {
	err := w.Conn.Close()
	w.once.Do(func() { close(w.ended) })
	return err
}

// single is a listener that has one connection to accept.
type single struct {
	conns  chan net.Conn
	addr   net.Addr
	once   sync.Once
	closed chan struct{}
}

func newSingle(conn net.Conn) *single {
	s := &single{conns: make(chan net.Conn, 1), addr: conn.LocalAddr(), closed: make(chan struct{})}
	s.conns <- conn
	return s
}

func (s *single) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *single) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *single) Addr() net.Addr { return s.addr }
