package fakefleet

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Network is a listener whose connections are pipes.
type Network struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewNetwork is one that nobody dialled yet.
func NewNetwork() *Network {
	return &Network{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (n *Network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (n *Network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

// Addr implements net.Listener.
func (n *Network) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "fleet.test:80" }

// Dial connects to who accepts, whatever the address.
func (n *Network) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case n.conns <- theirs:
		return ours, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Dial connects to the coordinator, whatever the address.
func (f *Fleet) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return f.network.Dial(ctx, network, address)
}

// Transport for callers; close its idle connections before the fleet.
func (f *Fleet) Transport() *http.Transport { return &http.Transport{DialContext: f.Dial} }
