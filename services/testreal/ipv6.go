package testreal

import (
	"net"
	"testing"
)

// RequireIPv6 skips the test, or fails it under CI=true, where the machine has no IPv6 loopback address.
func RequireIPv6(t testing.TB) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp6", "[::1]:0")
	if err != nil {
		Skip(t, "no IPv6 loopback address: enable IPv6 on the loopback interface ("+err.Error()+")")
		return
	}
	l.Close()
}
