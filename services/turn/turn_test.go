package turn_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/turn"
	"github.com/smaran-v2/smaran/services/turn/credential"
)

func TestMediaGoesThere(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			r, to := start(t), echo(t)
			r.shows(t, `turn_allocations{transport="`+transport+`"} 0`)
			relayed := allocate(t, r.caller(t, transport, good(t, "alice")))
			require.Equal(t, loopback, relayed.LocalAddr().(*net.UDPAddr).IP.String())
			require.Equal(t, 2, relayed.LocalAddr().(*net.UDPAddr).Port/10_000, "one of the relay's ports")
			hears(t, relayed, to)
			r.shows(t, `turn_allocations{transport="`+transport+`"} 1`)
			require.NotContains(t, r.get(t, "/metrics"), `turn_relayed_bytes_total{direction="received"} 0`)
			require.NotContains(t, r.get(t, "/metrics"), `turn_relayed_bytes_total{direction="sent"} 0`)
			require.NoError(t, relayed.Close())
			r.shows(t, `turn_allocations{transport="`+transport+`"} 0`)
		})
	}
}

// forgedBy is a credential that was changed after it was minted.
func forgedBy(c credential.Credential, change func(*credential.Credential)) credential.Credential {
	change(&c)
	return c
}

func TestWhoMayNotUseIt(t *testing.T) {
	r := start(t)
	now := time.Now()
	for name, c := range map[string]struct {
		credential credential.Credential
		reason     string
	}{
		"expired": {mint(t, "alice", now.Add(-time.Second)), "expired"},
		"another secret": {forgedBy(good(t, "alice"), func(c *credential.Credential) {
			c.Password = credential.Password([]byte("another secret of tests"), c.Username)
		}), "forged"},
		"a later expiry": {forgedBy(mint(t, "alice", now.Add(-time.Second)), func(c *credential.Credential) {
			c.Username = good(t, "alice").Username
		}), "forged"},
		"another user": {forgedBy(good(t, "alice"), func(c *credential.Credential) { c.Username = good(t, "bob").Username }), "forged"},
		"no expiry":    {credential.Credential{Username: "alice", Password: "x"}, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			before := counted(t, r, c.reason)
			_, err := r.caller(t, "udp", c.credential).Allocate()
			require.Error(t, err)
			r.refused(t, c.reason, before+1)
		})
	}
	t.Run("no credential", func(t *testing.T) {
		client := r.caller(t, "udp", credential.Credential{})
		request, err := stun.Build(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest))
		require.NoError(t, err)
		at, err := net.ResolveUDPAddr("udp", r.address)
		require.NoError(t, err)
		result, err := client.PerformTransaction(request, at, false)
		require.NoError(t, err)
		var code stun.ErrorCodeAttribute
		require.NoError(t, code.GetFrom(result.Msg))
		require.Equal(t, stun.CodeUnauthorized, code.Code)
	})
	r.shows(t, `turn_allocations{transport="udp"} 0`)
	allocate(t, r.caller(t, "udp", good(t, "alice"))) // control
}

func counted(t *testing.T, r *rig, reason string) (n int) {
	t.Helper()
	for n = range 10 {
		if containsLine(r.get(t, "/metrics"), reason, n) {
			return n
		}
	}
	t.Fatal(reason)
	return 0
}

// TestACallOutlivesItsCredential: a browser can't change it while it calls.
func TestACallOutlivesItsCredential(t *testing.T) {
	r, to := start(t), echo(t)
	expires := time.Now().Add(2 * time.Second)
	c := mint(t, "alice", expires)
	client := r.caller(t, "udp", c)
	relayed := allocate(t, client)
	require.Eventually(t, func() bool { return time.Now().After(expires.Add(time.Second)) }, deadline, pause)
	require.NoError(t, client.CreatePermission(to))
	hears(t, relayed, to)
	_, err := r.caller(t, "udp", c).Allocate()
	require.Error(t, err, "it begins nothing")
}

// TestMediaGoesToPodsAlone: even where the configuration would let it go anywhere.
func TestMediaGoesToPodsAlone(t *testing.T) {
	r := start(t, "TURN_PEERS=0.0.0.0/0,::/0")
	client := r.caller(t, "udp", good(t, "alice"))
	relayed := allocate(t, client)
	refused := 0
	for _, address := range []string{
		"127.0.0.1", "127.8.9.10", "0.0.0.0", "255.255.255.255", "224.0.0.1", "239.1.2.3", "169.254.169.254",
	} {
		require.Error(t, client.CreatePermission(&net.UDPAddr{IP: net.ParseIP(address), Port: 9}), address)
		refused++
		r.refused(t, "peer", refused)
		_, err := relayed.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.ParseIP(address), Port: 9})
		require.Error(t, err, address)
		refused++
		r.refused(t, "peer", refused)
	}
	require.NoError(t, client.CreatePermission(&net.UDPAddr{IP: net.ParseIP("192.0.2.7"), Port: 9}), "control")
	hears(t, relayed, echo(t))
}

func TestAnAddressThatIsNoPodsIsRefused(t *testing.T) {
	r := start(t)
	client := r.caller(t, "udp", good(t, "alice"))
	relayed := allocate(t, client)
	outside := machine(t).Next()
	require.Error(t, client.CreatePermission(net.UDPAddrFromAddrPort(netip.AddrPortFrom(outside, 9))))
	r.refused(t, "peer", 1)
	hears(t, relayed, echo(t))
}

// TestTheRelayIsNoPeer: with its own address, callers would reach one another through it.
func TestTheRelayIsNoPeer(t *testing.T) {
	own := machine(t)
	r := start(t, "TURN_RELAY_ADDRESS="+own.String())
	client := r.caller(t, "udp", good(t, "alice"))
	allocate(t, client)
	require.Error(t, client.CreatePermission(net.UDPAddrFromAddrPort(netip.AddrPortFrom(own, 9))))
	r.refused(t, "peer", 1)
}

func TestPodsAreFollowed(t *testing.T) {
	to := echo(t)
	pod := endpoints.Endpoint{Pod: "jarvis-1", Address: netip.AddrPortFrom(machine(t), 8080).String(), Health: endpoints.Healthy}
	path := filepath.Join(t.TempDir(), "endpoints.json")
	write := func(version string, pods ...endpoints.Endpoint) {
		require.NoError(t, endpoints.WriteFile(path, endpoints.Set{Version: version, Endpoints: pods}))
	}
	write("1")
	r := start(t, "TURN_ENDPOINTS="+discovery.File(path).String())
	client := r.caller(t, "udp", good(t, "alice"))
	relayed := allocate(t, client)
	require.Error(t, client.CreatePermission(to), "there is no pod yet")
	write("2", pod)
	require.Eventually(t, func() bool { return client.CreatePermission(to) == nil }, deadline, pause)
	hears(t, relayed, to)
}

func TestBounds(t *testing.T) {
	r := start(t, "TURN_MAX_ALLOCATIONS=3", "TURN_MAX_PER_USER=2")
	first := allocate(t, r.caller(t, "udp", good(t, "alice")))
	allocate(t, r.caller(t, "tcp", good(t, "alice")))
	_, err := r.caller(t, "udp", good(t, "alice")).Allocate()
	require.ErrorContains(t, err, "486")
	r.refused(t, "user", 1)
	allocate(t, r.caller(t, "udp", good(t, "bob")))
	_, err = r.caller(t, "udp", good(t, "carol")).Allocate()
	require.ErrorContains(t, err, "486")
	r.refused(t, "total", 1)
	require.NoError(t, first.Close())
	r.shows(t, `turn_allocations{transport="udp"} 1`)
	allocate(t, r.caller(t, "udp", good(t, "carol")))
}

func TestTwoPortsHoldTwoAllocations(t *testing.T) {
	r := start(t, "TURN_RELAY_PORTS=20110-20111")
	allocate(t, r.caller(t, "udp", good(t, "alice")))
	allocate(t, r.caller(t, "udp", good(t, "alice")))
	_, err := r.caller(t, "udp", good(t, "alice")).Allocate()
	require.ErrorContains(t, err, "508")
	r.refused(t, "ports", 1)
}

func TestOverTheBandwidthPacketsAreDropped(t *testing.T) {
	r, to := start(t, "TURN_BANDWIDTH=2000"), echo(t)
	relayed := allocate(t, r.caller(t, "udp", good(t, "alice")))
	hears(t, relayed, to)
	packet := make([]byte, 1000)
	for range 10 {
		_, err := relayed.WriteTo(packet, to)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return !containsMetric(r.get(t, "/metrics"), "turn_dropped_packets_total 0") }, deadline, pause)
	hears(t, relayed, to)
}

func TestConnectionsAreBounded(t *testing.T) {
	r := start(t, "TURN_MAX_CONNECTIONS=1", "TURN_LIFETIME=1s")
	silent, err := net.Dial("tcp", r.address)
	require.NoError(t, err)
	defer silent.Close()
	require.Eventually(t, func() bool {
		second, err := net.Dial("tcp", r.address)
		if err != nil {
			return false
		}
		defer second.Close()
		_, err = second.Read(make([]byte, 1))
		return err == io.EOF
	}, deadline, pause)
	_, err = silent.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "one that says nothing is closed too")
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", r.address)
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err = conn.Read(make([]byte, 1))
		return err != io.EOF
	}, deadline, pause, "its place is free")
}

func TestRelayingByTCPIsRefused(t *testing.T) {
	r := start(t)
	_, err := r.caller(t, "tcp", good(t, "alice")).AllocateTCP()
	require.Error(t, err)
	r.refused(t, "transport", 1)
}

func TestTheEndWaitsForCalls(t *testing.T) {
	r, to := start(t, "TURN_SHUTDOWN_GRACE=1m"), echo(t)
	relayed := allocate(t, r.caller(t, "udp", good(t, "alice")))
	hears(t, relayed, to)
	second := r.caller(t, "udp", good(t, "bob"))
	r.stop()
	require.Eventually(t, func() bool { return r.get(t, "/readyz") == "" && r.get(t, "/healthz") != "" }, deadline, pause)
	require.Eventually(t, func() bool { _, err := second.Allocate(); return err != nil }, deadline, pause)
	r.refused(t, "draining", 1)
	hears(t, relayed, to)
	require.NoError(t, relayed.Close())
	require.NoError(t, <-r.ended)
	r.ended <- nil
}

func TestTheEndDoesNotWaitForEver(t *testing.T) {
	r := start(t)
	for _, transport := range []string{"udp", "tcp"} {
		allocate(t, r.caller(t, transport, good(t, "alice")))
	}
	r.stop()
	require.NoError(t, <-r.ended)
	r.ended <- nil
}

func TestWhatIsWrongWithTheConfiguration(t *testing.T) {
	right := map[string]string{"TURN_SECRET": secret, "TURN_RELAY_ADDRESS": "10.0.0.1", "TURN_PEERS": "10.0.0.0/8",
		"TURN_LISTEN": "127.0.0.1:0", "TURN_ADMIN_LISTEN": "127.0.0.1:0"}
	for name, c := range map[string]struct{ key, value, says string }{
		"no secret":         {"TURN_SECRET", "", "SECRET has 0 bytes, expected 16 or more"},
		"no address":        {"TURN_RELAY_ADDRESS", "0.0.0.0", "RELAY_ADDRESS is 0.0.0.0"},
		"no peers":          {"TURN_PEERS", "", "neither PEERS nor ENDPOINTS"},
		"no network":        {"TURN_PEERS", "10.0.0.1", "no '/'"},
		"ports":             {"TURN_RELAY_PORTS", "9-8", "such as 49152-65535"},
		"a port":            {"TURN_RELAY_PORTS", "0-8", "such as 49152-65535"},
		"bound":             {"TURN_MAX_ALLOCATIONS", "0", "MAX_ALLOCATIONS is 0"},
		"lifetime":          {"TURN_LIFETIME", "2h", "expected 1s to 1h"},
		"bandwidth":         {"TURN_BANDWIDTH", "10", "BANDWIDTH is 10"},
		"unknown":           {"TURN_PORTS", "1-2", "unknown configuration key: TURN_PORTS"},
		"address in use":    {"TURN_LISTEN", "256.0.0.1:1", "listen on"},
		"nowhere to follow": {"TURN_ENDPOINTS", "file:///no/such", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			var environ []string
			for k, v := range right {
				if k != c.key {
					environ = append(environ, k+"="+v)
				}
			}
			ctx, stop := context.WithTimeout(t.Context(), deadline)
			defer stop()
			err := turn.Run(ctx, nil, append(environ, c.key+"="+c.value), io.Discard, io.Discard)
			require.ErrorContains(t, err, c.says)
		})
	}
	require.ErrorContains(t, turn.Run(t.Context(), []string{"up"}, nil, io.Discard, io.Discard), "unexpected argument")
}

func TestHealth(t *testing.T) {
	r := start(t)
	environ := []string{"TURN_SECRET=" + secret, "TURN_RELAY_ADDRESS=" + loopback, "TURN_PEERS=10.0.0.0/8", "TURN_ADMIN_LISTEN=" + r.admin}
	require.NoError(t, turn.Run(t.Context(), []string{"health"}, environ, io.Discard, io.Discard))
}
