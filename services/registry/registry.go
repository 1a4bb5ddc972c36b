package registry

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/smaran-v2/smaran/services/session"
)

// Owner says where a session lives.
type Owner struct {
	// Pod is the owner's name, Address its ip:port, Incarnation its process.
	Pod, Address, Incarnation string
	// Epoch counts the session's owners from 1, and never goes down while the record lives.
	Epoch uint64
}

// Claim is what a caller wants of a session.
type Claim struct {
	// Candidates are the names of the pods that may become the owner, the preferred one first.
	Candidates []string
	// Others are names of further pods that may be the owner now, such as draining ones. Leaving one out costs a round trip.
	Others []string
	// Avoid names a pod that lost the session. It stays or becomes the owner only if no other candidate is ready.
	Avoid string
	// KnownEpoch is an epoch that a pod was seen to know. A record below it is behind, since Redis lost a write, and is lifted
	// above it.
	KnownEpoch uint64
}

// Registry is the register of owners. It is safe for concurrent use.
type Registry struct {
	client     redis.UniversalClient
	scripts    scripts
	sessionTTL time.Duration
}

// New returns the register in client's Redis. A session's record lives sessionTTL after its last claim (0 means
// DefaultSessionTTL). The client stays the caller's to close.
func New(client redis.UniversalClient, sessionTTL time.Duration) *Registry {
	if sessionTTL <= 0 {
		sessionTTL = DefaultSessionTTL
	}
	return &Registry{client: client, scripts: newScripts(), sessionTTL: sessionTTL}
}

// claimTries bounds how often one claim follows owners that it had not heard of.
const claimTries = 3

// Claim returns the session's owner, and whether this very claim made it one. It fails with ErrNoPods, ErrUnavailable or
// ErrContended, or as ctx does.
func (r *Registry) Claim(ctx context.Context, id session.ID, c Claim) (owner Owner, assigned bool, err error) {
	names := make([]string, 0, len(c.Candidates)+len(c.Others)+1)
	names = append(append(names, c.Candidates...), c.Others...)
	for range claimTries {
		outcome, owner, err := r.claim(ctx, id, c, names)
		switch {
		case err != nil:
			return Owner{}, false, unavailable(ctx, "claim session", err)
		case outcome == outcomeKept, outcome == outcomeAssigned:
			return owner, outcome == outcomeAssigned, nil
		case outcome == outcomeNone:
			return Owner{}, false, fmt.Errorf("claim session among %d candidates: %w", len(c.Candidates), ErrNoPods)
		}
		names = append(names, owner.Pod)
	}
	return Owner{}, false, fmt.Errorf("claim session, %d tries: %w", claimTries, ErrContended)
}

func (r *Registry) claim(ctx context.Context, id session.ID, c Claim, names []string) (string, Owner, error) {
	keys := make([]string, 0, len(names)+1)
	keys = append(keys, sessionKey(string(id)))
	args := make([]any, 0, len(names)+4)
	args = append(args, r.sessionTTL.Milliseconds(), c.Avoid, strconv.FormatUint(c.KnownEpoch, 10), len(c.Candidates))
	for _, name := range names {
		keys = append(keys, podKey(name))
		args = append(args, name)
	}
	reply, err := r.scripts.claim.Run(ctx, r.client, keys, args...).StringSlice()
	if err != nil {
		return "", Owner{}, err
	}
	return ownerReply(reply)
}

// Owner returns the recorded owner of a session, whose lease may be gone. It fails with ErrNotFound or ErrUnavailable, or as
// ctx does.
func (r *Registry) Owner(ctx context.Context, id session.ID) (Owner, error) {
	fields, err := r.client.HGetAll(ctx, sessionKey(string(id))).Result()
	if err != nil {
		return Owner{}, unavailable(ctx, "look up session", err)
	}
	if fields["pod"] == "" {
		return Owner{}, fmt.Errorf("look up session: %w", ErrNotFound)
	}
	epoch, err := strconv.ParseUint(fields["epoch"], 10, 64)
	if err != nil {
		return Owner{}, unavailable(ctx, "look up session", err)
	}
	return Owner{Pod: fields["pod"], Address: fields[fieldAddress], Incarnation: fields[fieldIncarnation], Epoch: epoch}, nil
}

// Pods returns the live leases among names, in no particular order. It fails with ErrUnavailable, or as ctx does.
func (r *Registry) Pods(ctx context.Context, names []string) ([]Pod, error) {
	if len(names) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.MapStringStringCmd, len(names))
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			cmds[i] = p.HGetAll(ctx, podKey(name))
		}
		return nil
	})
	if err != nil {
		return nil, unavailable(ctx, "read leases", err)
	}
	var pods []Pod
	for i, cmd := range cmds {
		if fields := cmd.Val(); len(fields) > 0 {
			pods = append(pods, parsePod(names[i], fields))
		}
	}
	return pods, nil
}
