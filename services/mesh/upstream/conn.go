package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"time"
)

// headLimit bounds the head of a response, in bytes, as Envoy's max_response_headers_kb of 60 does.
const headLimit = 60 << 10

// bufferSize is that of each connection's two buffers, in bytes.
const bufferSize = 4 << 10

// Conn is an HTTP/1.1 connection for one exchange: write a request with Writer, then ReadResponse, then read its body,
// then Release. One goroutine may write while another reads. Abort and SetDeadline may be called by any.
type Conn struct {
	// Writer buffers the request. Flush it.
	Writer *bufio.Writer

	host   *Host
	net    net.Conn
	reader *bufio.Reader
	// allowed is how many bytes may still be read from the network, broken what ended reading from it.
	allowed int64
	broken  error
	since   time.Time
	probe   probe
}

func newConn(h *Host, c net.Conn) *Conn {
	conn := &Conn{host: h, net: c, Writer: bufio.NewWriterSize(c, bufferSize)}
	conn.reader = bufio.NewReaderSize(limited{conn}, bufferSize)
	conn.probe.init(c)
	return conn
}

// limited is the network side of a Conn's reader.
type limited struct{ *Conn }

var errHeadTooLarge = fmt.Errorf("%w: the head of the response is over %d bytes", ErrProtocol, headLimit)

func (l limited) Read(p []byte) (int, error) {
	if l.allowed <= 0 {
		return 0, errHeadTooLarge
	}
	if int64(len(p)) > l.allowed {
		p = p[:l.allowed]
	}
	n, err := l.net.Read(p)
	l.allowed -= int64(n)
	if err != nil {
		l.broken = err
	}
	return n, err
}

// alive is whether the pod has neither closed the connection nor sent anything since the last exchange.
func (c *Conn) alive() bool { return c.reader.Buffered() == 0 && c.probe.alive() }

// SetDeadline makes reads fail with ErrTimeout from then on; zero means never.
func (c *Conn) SetDeadline(t time.Time) { _ = c.net.SetReadDeadline(t) } // fails on a closed connection, as the read will

// Abort makes whatever reads or writes fail.
func (c *Conn) Abort() { _ = c.net.Close() } // a second close is none

// Buffered is how many bytes can be read without waiting for the network.
func (c *Conn) Buffered() int { return c.reader.Buffered() }

// ReadResponse reads the head of the response to r, of which it only uses the method. Interim responses are passed over, as
// Envoy does. It fails with ErrTimeout, ErrTerminated or ErrProtocol.
func (c *Conn) ReadResponse(r *http.Request) (*http.Response, error) {
	c.allowed = headLimit
	for {
		res, err := http.ReadResponse(c.reader, r)
		if err != nil {
			return nil, c.classify(err)
		}
		if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			c.allowed = math.MaxInt64
			return res, nil
		}
	}
}

// Release ends the exchange. reusable is whether request and response were complete and the pod did not ask to close.
func (c *Conn) Release(reusable bool) {
	if !reusable || c.reader.Buffered() > 0 || !c.host.keep(c) {
		_ = c.net.Close() // the exchange is over, one way or the other
	}
}

// Tunnel is the connection after a 101: what was read but belongs to the new protocol comes first.
func (c *Conn) Tunnel() io.ReadWriteCloser {
	_ = c.net.SetReadDeadline(time.Time{}) // fails on a closed connection, as the read will
	return tunnel{Reader: c.reader, Conn: c.net}
}

type tunnel struct {
	io.Reader
	net.Conn
}

func (t tunnel) Read(p []byte) (int, error) { return t.Reader.Read(p) }

// classify maps an error of reading the head to this package's. What the parser says of a head that was cut short does
// not matter.
func (c *Conn) classify(err error) error {
	switch {
	case errors.Is(c.broken, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	case errors.Is(c.broken, io.EOF) && c.allowed < headLimit:
		return fmt.Errorf("%w: closed within the head of the response", ErrProtocol) // so says Envoy's parser
	case c.broken != nil:
		return fmt.Errorf("%w: %w", ErrTerminated, c.broken)
	case errors.Is(err, ErrProtocol):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
}
