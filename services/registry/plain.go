package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/smaran-v2/smaran/services/session"
)

const plainPrefix = "session:"

// Plain is the story's register: session:<id> holds a pod's name until a time set when it was written. Reading and writing are
// two steps, nothing is fenced, and using a session does not prolong it.
type Plain struct {
	client redis.UniversalClient
	ttl    time.Duration
}

// NewPlain returns the register in client's Redis. An entry lives ttl (0 means DefaultSessionTTL).
func NewPlain(client redis.UniversalClient, ttl time.Duration) *Plain {
	if ttl <= 0 {
		ttl = DefaultSessionTTL
	}
	return &Plain{client: client, ttl: ttl}
}

// Get returns the name of the session's pod. It fails with ErrNotFound or ErrUnavailable, or as ctx does.
func (p *Plain) Get(ctx context.Context, id session.ID) (pod string, err error) {
	pod, err = p.client.Get(ctx, plainPrefix+string(id)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", fmt.Errorf("get session: %w", ErrNotFound)
	case err != nil:
		return "", unavailable(ctx, "get session", err)
	}
	return pod, nil
}

// Set writes the session's pod (SETEX). It fails with ErrUnavailable, or as ctx does.
func (p *Plain) Set(ctx context.Context, id session.ID, pod string) error {
	if err := p.client.SetEx(ctx, plainPrefix+string(id), pod, p.ttl).Err(); err != nil {
		return unavailable(ctx, "set session", err)
	}
	return nil
}
