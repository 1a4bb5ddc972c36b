package backend

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/peers"
	"github.com/smaran-v2/smaran/services/smaran/token"
)

var (
	errNoRedis = fmt.Errorf("%w: it needs a Redis (SMARAN_REDIS_ADDR)", ErrUnconfigured)
	errNoMesh  = fmt.Errorf("%w: it needs the mesh (SMARAN_MESH_URL)", ErrUnconfigured)
	errNoKeys  = fmt.Errorf("%w: it needs keys for its tokens (SMARAN_TOKEN_KEYS)", ErrUnconfigured)
)

// Deps is what backends are made of. What is marked so may be missing; the backends that need it are then unconfigured.
type Deps struct {
	Endpoints Endpoints
	// Peers is the way to one pod.
	Peers   peers.Way
	Metrics *Metrics
	Log     *slog.Logger
	Clock   clockwork.Clock
	// Seed makes draws reproducible.
	Seed uint64

	// MeshURL is scheme and authority of the mesh. May be missing.
	MeshURL string
	// MeshPolicy is how the mesh chooses: see Name.CheckMesh. MeshOptions are how it hashes, to predict it.
	MeshPolicy  mesh.Policy
	MeshOptions affinity.Options

	// Sealer seals tokens. May be missing.
	Sealer *token.Sealer

	// Redis may be missing.
	Redis *redis.Client
	// RedisTTL is how long a session's entry lives, RedisTimeout how long a request waits for Redis.
	RedisTTL, RedisTimeout time.Duration
	// RedisCache is how long the redis backend uses an owner without asking again; 0 asks each time.
	RedisCache time.Duration
	// RedisStale is how long it does during an outage.
	RedisStale time.Duration
}

// random is a source of draws of its own for each backend, so that one backend's requests don't change another's draws.
func (d Deps) random() *lockedRand { return &lockedRand{r: d.rand()} }

func (d Deps) rand() *rand.Rand {
	const stream = 0x736d6172616e // any constant: the seed alone tells runs apart
	return rand.New(rand.NewPCG(d.Seed, stream))
}

// New makes the backend called name. It fails with ErrUnknown or ErrUnconfigured.
func New(name Name, d Deps) (Backend, error) {
	if d.MeshURL != "" {
		if err := name.CheckMesh(d.MeshPolicy); err != nil {
			return nil, err
		}
	}
	switch name {
	case RoundRobin:
		return newRoundRobin(d)
	case RedisPlain:
		return newRedisPlain(d)
	case Redis:
		return newRedis(d)
	case AppHash:
		return newAppHash(d)
	case IstioHash, Handoff: // routing is the same: what differs is that pods hand their sessions over
		return newIstioHash(d)
	case StatefulHeader:
		return newStatefulHeader(d)
	case StatefulCookie:
		return newStatefulCookie(d)
	}
	_, err := ParseName(string(name))
	return nil, err
}

// Set holds every backend that one process can offer.
type Set struct {
	backends map[Name]Backend
	missing  map[Name]error
}

// NewSet makes all backends for which d has what they need.
func NewSet(d Deps) *Set {
	s := &Set{backends: map[Name]Backend{}, missing: map[Name]error{}}
	for _, name := range Names() {
		b, err := New(name, d)
		if err != nil {
			s.missing[name] = fmt.Errorf("backend %s: %w", name, err)
			continue
		}
		s.backends[name] = b
	}
	return s
}

// Get returns the backend called name. It fails with ErrUnknown or ErrUnconfigured.
func (s *Set) Get(name Name) (Backend, error) {
	if b, there := s.backends[name]; there {
		return b, nil
	}
	if err, there := s.missing[name]; there {
		return nil, err
	}
	_, err := ParseName(string(name))
	return nil, err
}

// Run does the background work of the backends in names until ctx ends, or of all of them if there are no names.
func (s *Set) Run(ctx context.Context, names ...Name) {
	if len(names) == 0 {
		names = Names()
	}
	var wg sync.WaitGroup
	for _, name := range names {
		if r, ok := s.backends[name].(Runner); ok {
			wg.Go(func() { r.Run(ctx) })
		}
	}
	wg.Wait()
}
