package turn_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/turn"
	"github.com/smaran-v2/smaran/services/turn/credential"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret   = "a secret of the tests"
	deadline = 10 * time.Second
	pause    = 5 * time.Millisecond
	loopback = "127.0.0.1"
)

// machine is an address of this machine that is not loopback, since media never goes there.
func machine(t testing.TB) netip.Addr {
	t.Helper()
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range all {
		if network, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(network.IP); ok && addr.Unmap().Is4() && addr.Unmap().IsGlobalUnicast() {
				return addr.Unmap()
			}
		}
	}
	testreal.Skip(t, "this machine has no IPv4 address but loopback")
	return netip.Addr{}
}

// rig is a relay on loopback.
type rig struct {
	address, admin string
	stop           context.CancelFunc
	ended          chan error
}

// start runs a relay whose peers are the machine's own address, with more variables.
func start(t testing.TB, more ...string) *rig {
	t.Helper()
	address, admin := free(t), free(t)
	ctx, stop := context.WithCancel(context.Background())
	r := &rig{address: address, admin: admin, stop: stop, ended: make(chan error, 1)}
	environ := append([]string{
		"TURN_LISTEN=" + address, "TURN_ADMIN_LISTEN=" + admin, "TURN_SECRET=" + secret, "TURN_RELAY_ADDRESS=" + loopback,
		"TURN_RELAY_PORTS=20000-29999", "TURN_SHUTDOWN_GRACE=0s",
	}, more...)
	if !strings.Contains(strings.Join(more, " "), "TURN_PEERS=") && !strings.Contains(strings.Join(more, " "), "TURN_ENDPOINTS=") {
		environ = append(environ, "TURN_PEERS="+netip.PrefixFrom(machine(t), 32).String())
	}
	go func() { r.ended <- turn.Run(ctx, nil, environ, io.Discard, io.Discard) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-r.ended:
			require.NoError(t, err)
		case <-time.After(deadline):
			t.Error("the relay did not end")
		}
	})
	require.Eventually(t, func() bool { return r.get(t, "/readyz") == "ok\n" }, deadline, pause)
	return r
}

// free is an address of loopback on whose port nothing listens, by UDP or TCP.
func free(t testing.TB) string {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", loopback+":0")
		require.NoError(t, err)
		p, err := net.ListenPacket("udp", l.Addr().String())
		require.NoError(t, l.Close())
		if err == nil {
			require.NoError(t, p.Close())
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// get is what the admin port answers; empty where it does not.
func (r *rig) get(t testing.TB, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+r.admin+path, nil)
	require.NoError(t, err)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// shows waits for a line of /metrics.
func (r *rig) shows(t testing.TB, line string) {
	t.Helper()
	require.Eventually(t, func() bool { return containsMetric(r.get(t, "/metrics"), line) }, deadline, pause, line)
}

func (r *rig) refused(t testing.TB, reason string, times int) {
	t.Helper()
	r.shows(t, fmt.Sprintf("turn_refused_total{reason=%q} %d", reason, times))
}

func mint(t testing.TB, user string, expires time.Time) credential.Credential {
	t.Helper()
	c, err := credential.Mint([]byte(secret), user, expires)
	require.NoError(t, err)
	return c
}

func good(t testing.TB, user string) credential.Credential {
	t.Helper()
	return mint(t, user, time.Now().Add(time.Hour))
}

// caller is a TURN client that has not asked for anything yet.
func (r *rig) caller(t testing.TB, transport string, c credential.Credential) *pion.Client {
	t.Helper()
	var socket net.PacketConn
	if transport == "tcp" {
		conn, err := net.Dial("tcp", r.address)
		require.NoError(t, err)
		socket = pion.NewSTUNConn(conn)
	} else {
		var err error
		socket, err = net.ListenPacket("udp4", loopback+":0")
		require.NoError(t, err)
	}
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	client, err := pion.NewClient(&pion.ClientConfig{
		STUNServerAddr: r.address, TURNServerAddr: r.address, Username: c.Username, Password: c.Password, Conn: socket, LoggerFactory: quiet,
	})
	require.NoError(t, err)
	require.NoError(t, client.Listen())
	t.Cleanup(func() {
		client.Close()
		_ = socket.Close() // once more, where a test closed it
	})
	return client
}

// allocate is a relayed address, which is given back with the test.
func allocate(t testing.TB, c *pion.Client) net.PacketConn {
	t.Helper()
	relayed, err := c.Allocate()
	require.NoError(t, err)
	t.Cleanup(func() { _ = relayed.Close() }) // fails where the relay ended first
	return relayed
}

// echo answers what it is sent, on the machine's address.
func echo(t testing.TB) net.Addr {
	t.Helper()
	socket, err := net.ListenPacket("udp4", netip.AddrPortFrom(machine(t), 0).String())
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 2048)
		for {
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = socket.WriteTo(buffer[:n], from) // what is lost is asked for again
		}
	}()
	t.Cleanup(func() { _ = socket.Close(); <-done })
	return socket.LocalAddr()
}

// hears sends until it is answered.
func hears(t testing.TB, relayed net.PacketConn, to net.Addr) {
	t.Helper()
	buffer := make([]byte, 2048)
	require.Eventually(t, func() bool {
		if _, err := relayed.WriteTo([]byte("hello"), to); err != nil {
			return false
		}
		_ = relayed.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, _, err := relayed.ReadFrom(buffer)
		return err == nil && string(buffer[:n]) == "hello"
	}, deadline, pause)
}

func containsMetric(text, line string) bool { return strings.Contains(text, "\n"+line+"\n") }

func containsLine(text, reason string, n int) bool {
	return containsMetric(text, fmt.Sprintf("turn_refused_total{reason=%q} %d", reason, n))
}
