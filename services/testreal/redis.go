package testreal

import (
	"net"
	"testing"

	"github.com/redis/go-redis/v9"
)

// startAttempts is how often a start is tried where another process may take the port in between.
const startAttempts = 5

const redisPort = "6379/tcp"

// StartRedis starts a redis-server without persistence on a free port of this machine, and returns its "host:port" once it
// answers. It ends with the test.
func StartRedis(t testing.TB) (addr string) {
	t.Helper()
	args := []string{"--save", "", "--appendonly", "no", "--loglevel", "warning"}
	path, ok := Lookup(t, redisName)
	if !ok {
		p, running := startContainer(t, inContainer{
			program: redisName, image: "REDIS_IMAGE", port: redisPort,
			// To Redis the engine's own network is a foreign one.
			args: append([]string{redisName, "--protected-mode", "no"}, args...),
		})
		addr := endpoint(t, running, redisPort)
		if !answers(t, p, addr) {
			t.Fatalf("redis-server ended before it answered; its output:\n%s", p.output)
		}
		return addr
	}
	for range startAttempts {
		addr = freeAddress(t)
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		if answers(t, start(t, redisName, path, append(args, "--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir())...), addr) {
			return addr
		}
	}
	t.Fatalf("redis-server ended at once, %d times; is something else taking the ports?", startAttempts)
	return ""
}

// answers waits until Redis does, and reports false if it ended first.
func answers(t testing.TB, p *process, addr string) bool {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	serves := p.await(t, func() bool { return client.Ping(t.Context()).Err() == nil })
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	return serves
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
