// Package upstream is the mesh's side towards one pod: connections that are kept and reused, HTTP/1.1 written and read without
// a goroutine for each connection, and HTTP/2 through net/http.
//
// It tells a connection that could not be made, after which a request may go elsewhere, from everything later, after which
// the pod may have seen the request. It never repeats a request by itself, as net/http's Transport does for HTTP/1.1: Envoy
// does not, and what becomes of a request to a pod that just died is one of the things this project measures.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// How a request to a pod can fail. Errors of this package match one of them, or are the client's own.
var (
	// ErrConnect: no connection could be made, so nothing of the request was sent.
	ErrConnect = errors.New("upstream: connection failed")
	// ErrTerminated: the pod closed the connection before anything of its response came.
	ErrTerminated = errors.New("upstream: connection terminated")
	// ErrProtocol: the pod sent something that is no HTTP response, or not the whole head of one.
	ErrProtocol = errors.New("upstream: protocol error")
	// ErrTimeout: the pod took longer than the deadline.
	ErrTimeout = errors.New("upstream: deadline exceeded")
)

// Host is one pod. It is safe for concurrent use.
type Host struct {
	address        string
	connectTimeout time.Duration
	h2             *http.Transport

	mu      sync.Mutex
	idle    []*Conn // the most recently used last
	retired bool
}

// NewHost makes no connection yet. address is "ip:port".
func NewHost(address string, connectTimeout time.Duration) *Host {
	h := &Host{address: address, connectTimeout: connectTimeout}
	h.h2 = h.newHTTP2()
	return h
}

// Address is "ip:port".
func (h *Host) Address() string { return h.address }

// Conn returns a connection for one HTTP/1.1 exchange, kept or new. Its reads fail at deadline unless that is zero.
// It fails with ErrConnect, with ErrTimeout at the deadline, or with ctx's error. Release it.
func (h *Host) Conn(ctx context.Context, deadline time.Time) (*Conn, error) {
	for {
		c := h.take()
		if c == nil {
			break
		}
		c.SetDeadline(deadline)
		if c.alive() {
			return c, nil
		}
		_ = c.net.Close() // the pod has closed it already
	}
	dialer := net.Dialer{Timeout: h.connectTimeout, Deadline: deadline}
	c, err := dialer.DialContext(ctx, "tcp", h.address)
	switch {
	case err == nil:
		conn := newConn(h, c)
		conn.SetDeadline(deadline)
		return conn, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case !deadline.IsZero() && !time.Now().Before(deadline):
		return nil, fmt.Errorf("%w: %w", ErrTimeout, err)
	default:
		return nil, fmt.Errorf("%w: %w", ErrConnect, err)
	}
}

func (h *Host) take() *Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.idle) == 0 {
		return nil
	}
	c := h.idle[len(h.idle)-1]
	h.idle[len(h.idle)-1] = nil
	h.idle = h.idle[:len(h.idle)-1]
	return c
}

// keep returns false where the connection is not wanted any more.
func (h *Host) keep(c *Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.retired {
		return false
	}
	c.since = time.Now()
	h.idle = append(h.idle, c)
	return true
}

// Sweep closes the kept connections that the pod has closed or that were unused for as long as given.
func (h *Host) Sweep(unused time.Duration) {
	since := time.Now().Add(-unused)
	h.mu.Lock()
	all := h.idle
	h.idle = nil
	h.mu.Unlock()
	var alive []*Conn
	for _, c := range all {
		c.SetDeadline(time.Time{})
		if c.since.After(since) && c.alive() {
			alive = append(alive, c)
		} else {
			_ = c.net.Close() // nobody uses it
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.retired {
		closeAll(alive)
		return
	}
	h.idle = append(alive, h.idle...)
}

// Retire ends the host: exchanges under way go on and new ones still work, but no connection outlives its exchange.
func (h *Host) Retire() {
	h.mu.Lock()
	h.retired = true
	idle := h.idle
	h.idle = nil
	h.mu.Unlock()
	closeAll(idle)
	h.h2.CloseIdleConnections()
}

func (h *Host) isRetired() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.retired
}

func closeAll(conns []*Conn) {
	for _, c := range conns {
		_ = c.net.Close() // nobody uses it
	}
}
