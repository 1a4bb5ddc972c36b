package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"
)

// idleHTTP2 is how long an HTTP/2 connection without streams is kept.
const idleHTTP2 = 90 * time.Second

// noHeaderTable is a size, in bytes, that no header fits into (RFC 7541 section 4.1 counts 32 and the text). Most requests
// bring a request id and a session of their own, which would evict each other from a larger table, at a cost beyond what it
// saves on loopback and in a cluster.
const noHeaderTable = 32

func (h *Host) newHTTP2() *http.Transport {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols:          &protocols,
		HTTP2:              &http.HTTP2Config{MaxEncoderHeaderTableSize: noHeaderTable},
		DisableCompression: true, // what the client did not ask for it does not get
		IdleConnTimeout:    idleHTTP2,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			dialer := net.Dialer{Timeout: h.connectTimeout}
			c, err := dialer.DialContext(ctx, "tcp", h.address)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrConnect, err)
			}
			return c, nil
		},
	}
}

// RoundTrip sends r by HTTP/2 without TLS. Streams that the pod refused unseen are sent again, as Envoy's refused-stream
// does; nothing else is. It fails with ErrConnect, ErrTerminated or ErrProtocol, or with the cause of the end of r's context.
func (h *Host) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := h.h2.RoundTrip(r)
	if err == nil {
		return res, nil
	}
	var connection http2.ConnectionError
	switch {
	case r.Context().Err() != nil:
		return nil, context.Cause(r.Context())
	case errors.Is(err, ErrConnect):
		return nil, err
	case errors.As(err, &connection):
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	default:
		return nil, fmt.Errorf("%w: %w", ErrTerminated, err)
	}
}

// Done tells the host that an HTTP/2 exchange is over, so that a retired one keeps no connection.
func (h *Host) Done() {
	if h.isRetired() {
		h.h2.CloseIdleConnections()
	}
}
