package registry

import (
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// DefaultTimeout bounds one exchange with Redis where the caller gave no other.
const DefaultTimeout = 50 * time.Millisecond

// poolSize is enough for thousands of lookups a second at a fraction of a millisecond each; more connections would only
// queue inside Redis, which has one thread, instead of here.
const poolSize = 32

// bufferSize of a connection, each way, in bytes. A claim is a few hundred.
const bufferSize = 4 << 10

// NewClient returns a client of the Redis at addr ("host:port") that fails fast: each step is bounded by timeout (0 means
// DefaultTimeout) and nothing is retried, so that a Redis in trouble is not asked more than usual.
func NewClient(addr string, timeout time.Duration) *redis.Client {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return redis.NewClient(&redis.Options{
		Addr:                  addr,
		MaxRetries:            -1,
		DialTimeout:           timeout,
		DialerRetries:         1,
		ReadTimeout:           timeout,
		WriteTimeout:          timeout,
		ContextTimeoutEnabled: true,
		PoolSize:              poolSize,
		PoolTimeout:           timeout,
		// A pipeline here is a few leases: it needs no pool and no 128 KiB buffers of its own.
		PipelinePoolSize: -1,
		ReadBufferSize:   bufferSize,
		WriteBufferSize:  bufferSize,
		// Both only add round trips to each new connection.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
