package turn

import (
	"errors"
	"net"
	"sync"
	"time"
)

// listener takes callers' TCP connections. pion/turn leaves open what it accepted when it is closed, and waits for ever for one that says nothing.
type listener struct {
	net.Listener
	most    int
	silence time.Duration
	metrics *metrics

	mu     sync.Mutex
	open   map[*connection]struct{}
	closed bool
}

// writing bounds one write: a caller that does not read loses its connection.
const writing = 5 * time.Second

func newListener(l net.Listener, c Config, m *metrics) *listener {
	return &listener{Listener: l, most: c.MaxConnections, silence: c.Lifetime, metrics: m, open: map[*connection]struct{}{}}
}

// Accept closes those over the bound at once.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c, ok := l.admit(conn); ok {
			return c, nil
		}
		_ = conn.Close() // nothing was said on it
	}
}

func (l *listener) admit(conn net.Conn) (*connection, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, false
	}
	if len(l.open) >= l.most {
		l.metrics.refuse(connections)
		return nil, false
	}
	c := &connection{Conn: conn, listener: l}
	l.open[c] = struct{}{}
	return c, true
}

// Close closes what was accepted as well.
func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	errs := []error{l.Listener.Close()}
	for c := range l.open {
		errs = append(errs, c.Conn.Close())
	}
	l.mu.Unlock()
	return errors.Join(errs...)
}

type connection struct {
	net.Conn
	listener *listener
}

func (c *connection) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.listener.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write closes a connection that it could not write all of a message to: the rest would be taken for the next.
func (c *connection) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writing)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Conn.Close() // the error is told already
	}
	return n, err
}

func (c *connection) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
