package session

import "context"

type contextKey struct{}

// NewContext returns a context that carries id. One already there is replaced.
func NewContext(ctx context.Context, id ID) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// FromContext returns the context's session, and whether there is one.
func FromContext(ctx context.Context) (ID, bool) {
	id, ok := ctx.Value(contextKey{}).(ID)
	return id, ok
}
