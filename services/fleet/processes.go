package fleet

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/smaran-v2/smaran/services/fleet/internal/proc"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/token"
	"github.com/smaran-v2/smaran/services/version"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	smaranName = wire.SmaranProcess
	jarvisName = "jarvis"
	meshName   = "mesh"
	redisName  = wire.RedisProcess

	envoyReadyPath = "/ready"

	// Soft memory limits, beside a pod's weights.
	podMemoryMiB     = 256
	serviceMemoryMiB = 256

	kindGo        = "go"
	kindEnvoy     = MeshEnvoy
	kindRedis     = redisServer
	kindMiniredis = "miniredis"
)

// nobody observes a member whose endpoints nobody keeps.
type nobody struct{}

func (nobody) up()      {}
func (nobody) noticed() {}
func (nobody) over()    {}

func (f *Fleet) start(s *service, name string, spec proc.Spec, p probe) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.member = newMember(f.supervision, name, spec, p, nobody{})
	return f.launch(s.member)
}

// describeRedis says which Redis runs, and where.
func (f *Fleet) describeRedis(ctx context.Context) {
	f.redis = service{address: f.layout.local(offsetRedis), kind: kindRedis, version: versionOf(ctx, f.programs.redis)}
	if f.programs.redis == "" {
		f.redis.kind, f.redis.version = kindMiniredis, version.String()
		f.embedded = &embeddedRedis{address: f.redis.address}
	}
}

// redisUp returns once Redis answers.
func (f *Fleet) redisUp(ctx context.Context) error {
	if f.embedded != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.down {
			return ErrClosed
		}
		return f.embedded.up()
	}
	host, port, err := net.SplitHostPort(f.redis.address)
	if err != nil {
		return fmt.Errorf("%w: redis: %w", ErrAddress, err)
	}
	dir := filepath.Join(f.dir.path, redisName)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	spec := proc.Spec{
		Path: f.programs.redis,
		Args: []string{"--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", dir},
		Env:  f.environ, Log: f.dir.log(redisName), Foreign: true,
	}
	if err := f.start(&f.redis, redisName, spec, answersPing(f.redis.address)); err != nil {
		return err
	}
	return f.board.await(ctx, func() (bool, error) { return f.redis.member.serving(0) })
}

// redisDown returns once nothing answers at its address any more.
func (f *Fleet) redisDown(ctx context.Context) error {
	if f.embedded != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.embedded.down()
		return nil
	}
	m := f.redis.member
	m.stop(atOnce)
	return f.board.await(ctx, func() (bool, error) { return m.look().phase == ended, nil })
}

// redisKept is whether Redis is up, or is being started anew after it died.
func (f *Fleet) redisKept() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.embedded != nil {
		return f.embedded.server != nil
	}
	return !f.redis.member.look().stopping
}

// redisOfPods is the Redis in which pods keep their leases, which only one backend reads, and their conversations, if they are to.
func (f *Fleet) redisOfPods() string {
	if f.cfg.Backend == backend.Redis || f.cfg.Override || f.cfg.SessionStore == StoreRedis {
		return f.redis.address
	}
	return ""
}

// seedOf gives every process a seed of its own; "" where nothing was asked to repeat.
func (f *Fleet) seedOf(number int) string {
	if f.cfg.Seed == 0 {
		return ""
	}
	return strconv.FormatUint(f.cfg.Seed+uint64(number), 10)
}

// newTokenKey is a key that seals session tokens, so that they outlast the coordinator's restart. It lives as long as the fleet.
func newTokenKey() string {
	key := token.RandomKey("fleet")
	return key.ID + ":" + base64.StdEncoding.EncodeToString(key.Secret)
}
