// Package archive keeps conversations in Redis, for the day a pod is killed with them. It is written behind the answers and read only when
// a session's owner can't be found: no request waits for it that has an owner.
//
// It is therefore behind: by the turns since a session was last written, which is one where Redis is up, as the next turn of a session
// comes after the last was answered. It says who had a session last, not who has it: package registry and the pods' titles do.
package archive

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
)

var (
	// ErrNotFound: nothing is kept of the session. It is a state.ErrUnknown.
	ErrNotFound = fmt.Errorf("the archive: %w", state.ErrUnknown)
	// ErrUnavailable: Redis did not answer in time, or not as it should.
	ErrUnavailable = errors.New("the archive can't be read")
)

const (
	prefix = "state:"
	// writesAtOnce are sent to Redis together.
	writesAtOnce = 64
	// retry is how long what could not be written waits.
	retry = 250 * time.Millisecond
	// last is how long the end of Run may take to write what is left.
	last = time.Second
)

//go:embed save.lua
var saveSource string

// Config of an Archive. All are needed.
type Config struct {
	// Client stays the caller's to close, after Run returned.
	Client *redis.Client
	// TTL is how long a conversation is kept after its last turn, 1 ms or more.
	TTL time.Duration
	// Snapshot is a session as it is now, with its title; a session without one any more fails.
	Snapshot func(session.ID) (state.Snapshot, state.Title, error)
	Clock    clockwork.Clock
	Log      *slog.Logger
}

// Archive is safe for concurrent use.
type Archive struct {
	Config
	wake chan struct{}
	// failing is Run's.
	failing bool

	mu sync.Mutex
	// touched are the sessions that went on since they were written. There are never more than the pod keeps.
	touched map[session.ID]bool
}

// New returns an Archive; Run writes it.
func New(c Config) *Archive {
	return &Archive{Config: c, wake: make(chan struct{}, 1), touched: map[session.ID]bool{}}
}

// Touch has a session written soon. It does not wait.
func (a *Archive) Touch(id session.ID) {
	a.mu.Lock()
	a.touched[id] = true
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default: // Run has yet to look
	}
}

// Run writes until ctx ends, and then once more.
func (a *Archive) Run(ctx context.Context) {
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), last)
			defer cancel()
			a.flush(end)
			return
		}
		if a.flush(ctx) {
			continue
		}
		timer := a.Clock.NewTimer(retry)
		select {
		case <-timer.Chan():
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// flush writes what was touched, and says whether Redis took it.
func (a *Archive) flush(ctx context.Context) bool {
	for {
		ids := a.take()
		if len(ids) == 0 {
			return true
		}
		if tried, err := a.write(ctx, ids); err != nil {
			if !a.failing {
				a.Log.WarnContext(ctx, "the archive can't be written; it is tried again", "sessions", len(tried), "every", retry, "error", err)
			}
			a.failing = true
			for _, id := range tried {
				a.Touch(id)
			}
			return false
		}
		if a.failing {
			a.Log.InfoContext(ctx, "the archive is written again")
		}
		a.failing = false
	}
}

func (a *Archive) take() []session.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := make([]session.ID, 0, min(len(a.touched), writesAtOnce))
	for id := range a.touched {
		if len(ids) == writesAtOnce {
			break
		}
		ids = append(ids, id)
		delete(a.touched, id)
	}
	return ids
}

// write returns what there was to write: the others were dropped meanwhile, are another pod's by now, or can't be encoded.
func (a *Archive) write(ctx context.Context, ids []session.ID) (tried []session.ID, err error) {
	_, err = a.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, id := range ids {
			snap, title, err := a.Snapshot(id)
			if err != nil || title.Owner != "" {
				continue // dropped, or another pod's, which writes it
			}
			data, err := proto.Marshal(snap.Message())
			if err != nil { // the others are written all the same
				a.Log.ErrorContext(ctx, "session not archived: it can't be encoded", session.LogKey, id, "error", err)
				continue
			}
			tried = append(tried, id)
			p.Eval(ctx, saveSource, []string{prefix + string(id)}, title.Epoch, snap.At.Turn, data, a.TTL.Milliseconds())
		}
		return nil
	})
	return tried, err
}

// Load is the conversation as it was last written, and the epoch of who wrote it. It fails with ErrNotFound or ErrUnavailable.
func (a *Archive) Load(ctx context.Context, id session.ID) (state.Snapshot, uint64, error) {
	found := a.Client.HMGet(ctx, prefix+string(id), "epoch", "data")
	var kept struct {
		Epoch uint64 `redis:"epoch"`
		Data  string `redis:"data"`
	}
	if err := found.Err(); err != nil {
		return state.Snapshot{}, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := found.Scan(&kept); err != nil {
		return state.Snapshot{}, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if kept.Data == "" {
		return state.Snapshot{}, 0, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	var m jarvisv1.Snapshot
	if err := proto.Unmarshal([]byte(kept.Data), &m); err != nil {
		return state.Snapshot{}, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	snap, err := state.ReadSnapshot(&m)
	if err != nil {
		return state.Snapshot{}, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return snap, kept.Epoch, nil
}
