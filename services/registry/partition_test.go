package registry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// lossless is how many exchanges there are to each that is lost.
const lossless = 10

// errLost is what a client sees of a partition.
var errLost = &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}

// partition loses what a client asks Redis now and then: on the way there, so that nothing is done; on the way back, after it was done;
// or for a while, so that it is done after the client gave up.
type partition struct {
	rng  *rand.Rand
	late *sync.WaitGroup
	// direct is a way around it.
	direct *redis.Client
}

func (partition) DialHook(next redis.DialHook) redis.DialHook { return next }

func (p partition) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return p.lose(func() error { return next(ctx, cmd) }, func() {
			_ = p.direct.Do(ctx, cmd.Args()...).Err() // nobody hears of it
		}, cmd)
	}
}

func (p partition) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return p.lose(func() error { return next(ctx, cmds) }, func() {
			for _, cmd := range cmds {
				_ = p.direct.Do(ctx, cmd.Args()...).Err() // nobody hears of it
			}
		}, cmds...)
	}
}

func (p partition) lose(send func() error, later func(), cmds ...redis.Cmder) error {
	lost := p.rng.IntN(3 * lossless)
	switch lost {
	case 0: // on the way there
	case 1:
		if err := send(); err != nil {
			return err
		}
	case 2:
		p.late.Go(later)
	default:
		return send()
	}
	for _, cmd := range cmds {
		cmd.SetErr(errLost)
	}
	return errLost
}

// brokenFence deletes a session's record before it is asserted.
type brokenFence struct{ other *redis.Client }

func (brokenFence) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (brokenFence) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (b brokenFence) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if args := cmd.Args(); len(args) > 3 && strings.Contains(fmt.Sprint(args[1]), "Writes down that a pod owns a session") {
				b.other.Del(ctx, fmt.Sprint(args[3]))
			}
		}
		return next(ctx, cmds)
	}
}
