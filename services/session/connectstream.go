package session

import (
	"context"
	"net/http"
	"sync"

	"connectrpc.com/connect"
)

// checkedConn puts the context's session into a stream's header when the stream is about to be opened. It can't be done
// earlier: Connect merges the caller's own header in after the interceptors have made the stream. A stream whose header names
// another session is refused: nothing is sent, and no call of it waits for an answer.
type checkedConn struct {
	connect.StreamingClientConn

	ctx context.Context //nolint:containedctx // a stream is its call
	// open checks at its first call.
	open func() error
	// opened is closed by open, which writes err before.
	opened chan struct{}
	err    error
}

func newCheckedConn(ctx context.Context, conn connect.StreamingClientConn) *checkedConn {
	c := &checkedConn{StreamingClientConn: conn, ctx: ctx, opened: make(chan struct{})}
	c.open = sync.OnceValue(func() error {
		defer close(c.opened)
		c.err = inject(ctx, conn.RequestHeader())
		return c.err
	})
	return c
}

// refused reports why the stream was not opened; nil too if it was not tried yet.
func (c *checkedConn) refused() error {
	select {
	case <-c.opened:
		return c.err
	default:
		return nil
	}
}

func (c *checkedConn) Send(msg any) error {
	if err := c.open(); err != nil {
		return err
	}
	return c.StreamingClientConn.Send(msg)
}

// CloseRequest opens a stream that nothing was sent on.
func (c *checkedConn) CloseRequest() error {
	if err := c.open(); err != nil {
		return err
	}
	return c.StreamingClientConn.CloseRequest()
}

// Receive may be called before the first Send, by another goroutine.
func (c *checkedConn) Receive(msg any) error {
	select {
	case <-c.opened:
	case <-c.ctx.Done(): // Connect's to report
	}
	if err := c.refused(); err != nil {
		return err
	}
	return c.StreamingClientConn.Receive(msg)
}

func (c *checkedConn) CloseResponse() error {
	if c.refused() != nil {
		return nil
	}
	return c.StreamingClientConn.CloseResponse()
}

func (c *checkedConn) ResponseHeader() http.Header {
	if c.refused() != nil {
		return http.Header{}
	}
	return c.StreamingClientConn.ResponseHeader()
}

func (c *checkedConn) ResponseTrailer() http.Header {
	if c.refused() != nil {
		return http.Header{}
	}
	return c.StreamingClientConn.ResponseTrailer()
}
