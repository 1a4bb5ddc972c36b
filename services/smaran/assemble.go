package smaran

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"

	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/peers"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/smaran/internal/edge"
	"github.com/smaran-v2/smaran/services/smaran/token"
	"github.com/smaran-v2/smaran/services/telemetry"
)

// app is smaran put together.
type app struct {
	api      http.Handler
	backends *backend.Set
	service  *core.Service
	sealer   *token.Sealer
	redis    *redis.Client // nil without one
	pods     discovery.Source
}

// assemble puts smaran together. What it starts ends with ctx; close gives up the rest.
func assemble(ctx context.Context, cfg Config, tel *telemetry.Telemetry) (*app, error) {
	clock := clockwork.NewRealClock()
	pods, err := cfg.Endpoints.Open(ctx, tel.Log)
	if err != nil {
		return nil, err
	}
	sealer, err := newSealer(cfg, clock, tel.Log)
	if err != nil {
		return nil, err
	}
	a := &app{pods: pods, sealer: sealer}
	if cfg.RedisAddr != "" {
		registry.LogDriver(tel.Log)
		a.redis = registry.NewClient(cfg.RedisAddr, cfg.RedisTimeout)
	}
	a.backends = backend.NewSet(backend.Deps{
		Endpoints:    pods,
		Peers:        peers.Way{URL: cfg.PeersURL},
		Metrics:      backend.NewMetrics(tel.Registry),
		Log:          tel.Log,
		Clock:        clock,
		Seed:         seed(cfg, tel.Log),
		MeshURL:      cfg.MeshURL,
		MeshPolicy:   cfg.MeshPolicy,
		MeshOptions:  affinity.Options{MinRingSize: cfg.RingSize},
		Sealer:       sealer,
		Redis:        a.redis,
		RedisTTL:     cfg.RedisTTL,
		RedisTimeout: cfg.RedisTimeout,
		RedisCache:   cfg.RedisCache,
		RedisStale:   cfg.RedisStale,
	})
	if err := a.build(cfg, tel, clock); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *app) build(cfg Config, tel *telemetry.Telemetry, clock clockwork.Clock) (err error) {
	a.service, err = core.New(core.Options{
		Backends: a.backends, Backend: cfg.Backend, AllowOverride: cfg.AllowBackendOverride, Endpoints: a.pods,
		Peers:          peers.Way{URL: cfg.PeersURL},
		Sealer:         a.sealer,
		RequestTimeout: cfg.RequestTimeout,
		Tracer:         tel.Tracer, Propagator: tel.Propagator, Metrics: tel.Registry, Clock: clock, Log: tel.Log,
	})
	if err != nil {
		return err
	}
	a.api, err = edge.New(edge.Options{
		Service: a.service, SessionMode: cfg.SessionMode, MaxBody: cfg.MaxBody, Origins: cfg.origins(),
		Relay:  edge.Relay{URLs: cfg.TurnURLs, Secret: []byte(cfg.TurnSecret), TTL: cfg.TurnTTL},
		Tracer: tel.Tracer, Propagator: tel.Propagator, Metrics: tel.Registry, Clock: clock, Log: tel.Log,
	})
	return err
}

func (a *app) close() {
	if a.service != nil {
		a.service.Close()
	}
	if a.redis != nil {
		_ = a.redis.Close() // only fails when it was closed before
	}
}

// newSealer makes a key where none is configured: tokens then end with this process, which no other replica can open either.
func newSealer(cfg Config, clock clockwork.Clock, log *slog.Logger) (*token.Sealer, error) {
	keys, err := token.ParseKeys(cfg.TokenKeys)
	if err != nil {
		return nil, fmt.Errorf("%sTOKEN_KEYS: %w", EnvPrefix, err)
	}
	if len(keys) == 0 {
		keys = []token.Key{token.RandomKey("random")}
		if cfg.Backend == backend.StatefulHeader || cfg.Backend == backend.StatefulCookie || cfg.Backend == backend.Handoff {
			log.Warn("no SMARAN_TOKEN_KEYS: tokens end with this process and other replicas do not open them")
		}
	}
	sealer, err := token.NewSealer(keys, cfg.TokenTTL, clock)
	if err != nil {
		return nil, fmt.Errorf("%sTOKEN_KEYS: %w", EnvPrefix, err)
	}
	return sealer, nil
}

func seed(cfg Config, log *slog.Logger) uint64 {
	if cfg.Seed != 0 {
		return cfg.Seed
	}
	drawn := rand.Uint64()
	log.Info("seed drawn", "seed", drawn)
	return drawn
}
