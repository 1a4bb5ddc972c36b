package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/smaran-v2/smaran/services/discovery/dns"
	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// Source follows a list of pods until the context that it was opened with ends. It is safe for concurrent use.
type Source interface {
	// Current is the last list. It is shared: do not change its slice.
	Current() endpoints.Set
	// Changed is closed when Current changes. Each channel tells of one change: call Changed, act on Current, then wait.
	Changed() <-chan struct{}
	// Done is closed once the context has ended and nothing of the Source is left.
	Done() <-chan struct{}
}

// Open follows the list of pods. It fails with ErrLocation for the zero Location; where a file is missing or not valid; and where the API
// server cannot be reached, or forbids to list or watch, with kubernetes.ErrUnreachable or kubernetes.ErrForbidden. A list without
// pods is no failure, and neither is a name that has no address yet.
func (l Location) Open(ctx context.Context, log *slog.Logger) (Source, error) {
	switch what := l.what.(type) {
	case string:
		return opened(endpoints.Watch(ctx, what, log))
	case dns.Name:
		return dns.Watch(ctx, what, dns.Defaults(log)), nil
	case kubernetes.Service:
		config, err := kubernetes.InCluster()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l, err)
		}
		return opened(kubernetes.Watch(ctx, config, what, log))
	}
	return nil, errors.Join(ErrLocation, errors.New("it is empty"))
}

// opened keeps a nil pointer from becoming a Source that is not nil.
func opened[S Source](s S, err error) (Source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
