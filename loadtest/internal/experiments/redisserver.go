package experiments

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	redisVariable = "REDIS_SERVER_BIN"
	redisProgram  = "redis-server"
	// redisStart bounds how long it may take to answer, redisStop to end.
	redisStart = 10 * time.Second
	redisStop  = 3 * time.Second
)

// redisServer is a real redis-server without persistence, which ends with the experiment, or with this process.
type redisServer struct {
	address string
	client  *redis.Client
	cmd     *exec.Cmd
	exited  chan struct{}
}

// startRedis starts one on a free port. It fails with ErrMissing where there is no redis-server: nothing stands in for it.
func startRedis(ctx context.Context, env Env) (_ *redisServer, err error) {
	program := env.RedisServer
	if program == "" {
		program = os.Getenv(redisVariable)
	}
	if program == "" {
		program = redisProgram
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%w: a redis-server: install one, or name it in %s", ErrMissing, redisVariable)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s := &redisServer{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), exited: make(chan struct{})}
	s.cmd = exec.Command(path, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no", "--loglevel", "warning")
	endWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	go func() {
		_ = s.cmd.Wait() // whether it was ended or died, it is gone
		close(s.exited)
	}()
	s.client = redis.NewClient(&redis.Options{Addr: s.address, MaxRetries: -1})
	if err := s.await(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// await polls until it answers.
func (s *redisServer) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, redisStart)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		if s.client.Ping(ctx).Err() == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("redis-server ended at once; is another process on %s?", s.address)
		case <-ctx.Done():
			return fmt.Errorf("redis-server did not answer within %s: %w", redisStart, ctx.Err())
		case <-poll.C:
		}
	}
}

// close ends the server and waits for it.
func (s *redisServer) close() error {
	err := s.client.Close()
	_ = s.cmd.Process.Signal(os.Interrupt) // it may have ended by itself
	select {
	case <-s.exited:
	case <-time.After(redisStop):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	return err
}

// cpu is the processor time that Redis' main thread, which runs all commands, has used. Versions before 7 only say it of the process.
func (s *redisServer) cpu(ctx context.Context) (time.Duration, error) {
	info, err := s.client.Info(ctx, "cpu").Result()
	if err != nil {
		return 0, fmt.Errorf("ask Redis for its processor time: %w", err)
	}
	fields := map[string]float64{}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			fields[name] = v
		}
	}
	for _, suffix := range []string{"_main_thread", ""} {
		user, ok := fields["used_cpu_user"+suffix]
		if ok {
			return time.Duration((user + fields["used_cpu_sys"+suffix]) * float64(time.Second)), nil
		}
	}
	return 0, errors.New("no processor time in what Redis says of itself")
}

// freePort is one that was free a moment ago.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
