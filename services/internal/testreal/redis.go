package testreal

import (
	"net"
	"testing"

	"github.com/redis/go-redis/v9"
)

// startAttempts is how often a start is tried where another process may take the port in between.
const startAttempts = 5

// StartRedis starts a redis-server without persistence on a free port of 127.0.0.1, and returns its "ip:port" once it
// answers. It ends with the test.
func StartRedis(t testing.TB) (addr string) {
	t.Helper()
	path := Binary(t, redisName)
	for range startAttempts {
		addr = freeAddress(t)
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, redisName, path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no",
			"--dir", t.TempDir(), "--loglevel", "warning")
		client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
		serves := p.await(t, func() bool { return client.Ping(t.Context()).Err() == nil })
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if serves {
			return addr
		}
	}
	t.Fatalf("redis-server ended at once, %d times; is something else taking the ports?", startAttempts)
	return ""
}

// freeAddress is an address of 127.0.0.1 with a port that was free a moment ago.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
