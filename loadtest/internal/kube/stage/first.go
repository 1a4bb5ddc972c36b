package stage

import (
	"bufio"
	"context"
	"net"
)

// awaitFirst waits for the other side's first byte, and leaves it to be read. It closes conn where that does not come.
func awaitFirst(ctx context.Context, conn net.Conn) (net.Conn, error) {
	r := bufio.NewReader(conn)
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := r.Peek(1); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &peeked{conn, r}, nil
}

// peeked is a connection whose first bytes were read ahead.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }
