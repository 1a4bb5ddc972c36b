package upstream_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/mesh/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deadline = 10 * time.Second

// listener accepts connections into a channel.
func listener(t *testing.T) (addr string, accepted <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	conns := make(chan net.Conn, 16)
	go func() {
		defer close(conns)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		for c := range conns {
			_ = c.Close()
		}
	})
	return l.Addr().String(), conns
}

func conn(t *testing.T, h *upstream.Host) *upstream.Conn {
	t.Helper()
	c, err := h.Conn(t.Context(), time.Now().Add(deadline))
	require.NoError(t, err)
	return c
}

// requireClosed waits until the peer of c has closed it.
func requireClosed(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(deadline)))
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

func TestAConnectionIsKeptAndUsedAgain(t *testing.T) {
	addr, accepted := listener(t)
	h := upstream.NewHost(addr, deadline)
	defer h.Retire()
	first := conn(t, h)
	first.Release(true)
	require.Same(t, first, conn(t, h))
	second := conn(t, h)
	require.NotSame(t, first, second)
	second.Release(false)
	<-accepted
	requireClosed(t, <-accepted)
	first.Release(true)
	require.Same(t, first, conn(t, h))
	first.Release(false)
}

func TestAConnectionThatThePodTouchedIsNotUsedAgain(t *testing.T) {
	for name, touch := range map[string]func(net.Conn) error{
		"closed": net.Conn.Close,
		"wrote": func(c net.Conn) error {
			_, err := io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr, accepted := listener(t)
			h := upstream.NewHost(addr, deadline)
			defer h.Retire()
			first := conn(t, h)
			first.Release(true)
			require.NoError(t, touch(<-accepted))
			require.Eventually(t, func() bool {
				c := conn(t, h)
				defer c.Release(true)
				return c != first
			}, deadline, time.Millisecond)
		})
	}
}

func TestSweepClosesWhatIsUnused(t *testing.T) {
	addr, accepted := listener(t)
	h := upstream.NewHost(addr, deadline)
	defer h.Retire()
	kept := conn(t, h)
	kept.Release(true)
	h.Sweep(time.Hour)
	require.Same(t, kept, conn(t, h), "it was used just now")
	kept.Release(true)
	h.Sweep(0)
	requireClosed(t, <-accepted)
}

func TestARetiredHostKeepsNothing(t *testing.T) {
	addr, accepted := listener(t)
	h := upstream.NewHost(addr, deadline)
	idle, busy := conn(t, h), conn(t, h)
	idle.Release(true)
	h.Retire()
	requireClosed(t, <-accepted)
	busy.Release(true)
	requireClosed(t, <-accepted)
	late := conn(t, h)
	late.Release(true)
	requireClosed(t, <-accepted)
}

func TestConnSaysWhyThereIsNone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := upstream.NewHost(l.Addr().String(), deadline)
	require.NoError(t, l.Close())
	_, err = h.Conn(t.Context(), time.Time{})
	require.ErrorIs(t, err, upstream.ErrConnect)
	_, err = h.Conn(t.Context(), time.Now().Add(-time.Second))
	require.ErrorIs(t, err, upstream.ErrTimeout)
	cause := io.ErrClosedPipe
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err = h.Conn(ctx, time.Time{})
	require.ErrorIs(t, err, cause)
}

func TestReadResponseTellsFailuresApart(t *testing.T) {
	for name, row := range map[string]struct {
		pod  func(c net.Conn)
		want error
	}{
		"closed":   {func(c net.Conn) { _ = c.Close() }, upstream.ErrTerminated},
		"cut":      {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 20"); _ = c.Close() }, upstream.ErrProtocol},
		"garbage":  {func(c net.Conn) { _, _ = io.WriteString(c, "garbage\r\n\r\n") }, upstream.ErrProtocol},
		"no reply": {func(net.Conn) {}, upstream.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			addr, accepted := listener(t)
			h := upstream.NewHost(addr, deadline)
			defer h.Retire()
			c, err := h.Conn(t.Context(), time.Now().Add(200*time.Millisecond))
			require.NoError(t, err)
			defer c.Release(false)
			_, err = c.Writer.WriteString("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			require.NoError(t, err)
			require.NoError(t, c.Writer.Flush())
			peer := <-accepted
			defer peer.Close()
			r, err := http.ReadRequest(bufio.NewReader(peer))
			require.NoError(t, err)
			row.pod(peer)
			_, err = c.ReadResponse(r)
			require.ErrorIs(t, err, row.want)
		})
	}
}
