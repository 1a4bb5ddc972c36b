package backend

import (
	"context"
	"errors"
	"time"

	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/registry"
)

// redisPlain is the story's: GET the session's pod, or draw one and SETEX it. It is kept as simple as it was. Each request
// waits for Redis; two first requests may each draw a pod, and the later write wins; when Redis is down every request goes
// to a random pod.
type redisPlain struct {
	pods podSource
	directly
	register *registry.Plain
	timeout  time.Duration
	rand     *lockedRand
}

func newRedisPlain(d Deps) (Backend, error) {
	if d.Redis == nil {
		return nil, errNoRedis
	}
	return &redisPlain{
		pods:     podSource{endpoints: d.Endpoints},
		directly: directly{d.Peers},
		register: registry.NewPlain(d.Redis, d.RedisTTL),
		timeout:  d.RedisTimeout,
		rand:     d.random(),
	}, nil
}

func (b *redisPlain) Route(ctx context.Context, r Request) (Target, error) {
	if err := ctx.Err(); err != nil {
		return Target{}, err
	}
	pods, err := b.pods.get()
	if err != nil {
		return Target{}, err
	}
	if r.Session == "" {
		return b.to(b.draw(pods, r)), nil
	}
	bounded, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	name, err := b.register.Get(bounded, r.Session)
	if err == nil && name != r.LostPod {
		// A pod that drains still has its sessions; one that left the endpoints can't be addressed.
		if e, there := pods.set.Lookup(name); there {
			return b.to(e), nil
		}
	}
	drawn := b.draw(pods, r)
	if err == nil || errors.Is(err, registry.ErrNotFound) {
		err = b.register.Set(bounded, r.Session, drawn.Pod)
	}
	if ctx.Err() != nil {
		return Target{}, ctx.Err()
	}
	target := b.to(drawn)
	target.Degraded = err != nil
	return target, nil
}

func (b *redisPlain) draw(pods *pods, r Request) endpoints.Endpoint {
	list := pods.others(r.LostPod)
	return list[b.rand.intN(len(list))]
}

func (*redisPlain) Learn(context.Context, Request, Target, Outcome) Lesson { return Lesson{} }
