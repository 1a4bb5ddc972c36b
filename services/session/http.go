package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// SpanKey is the attribute under which a span names its session; a log record uses LogKey.
const SpanKey = attribute.Key("session.id")

// FromHeader reads the one session of a request. Errors are *Error and match ErrMissing, ErrMultiple, or one of Parse's.
// Two header lines are an error even when they agree: a mesh would hash them combined, not as one.
func FromHeader(h http.Header) (ID, error) {
	switch values := h.Values(Header); len(values) {
	case 0:
		return "", newError(ErrMissing, "none")
	case 1:
		return Parse(values[0])
	default:
		return "", newError(ErrMultiple, fmt.Sprintf("%d: %q", len(values), shorten(strings.Join(values, ", "))))
	}
}

// Set puts the session into a request's header, replacing what is there.
func Set(h http.Header, id ID) { h.Set(Header, string(id)) }

// Policy says what a server does with a request that has no session header. A malformed one is refused under both.
type Policy string

// The two policies, by the names they have in configuration.
const (
	// Strict refuses the request.
	Strict Policy = "strict"
	// Lenient lets it pass without a session in its context, as the fallback route of a mesh does.
	Lenient Policy = "lenient"
)

// UnmarshalText parses a policy; an unknown one is an error that lists both.
func (p *Policy) UnmarshalText(text []byte) error {
	switch v := Policy(text); v {
	case Strict, Lenient:
		*p = v
		return nil
	}
	return fmt.Errorf("unknown session mode %q: expected strict or lenient", text)
}

// Middleware puts the request's session into its context and onto its span; onError answers a request whose session the
// policy refuses (its error is an *Error).
func Middleware(policy Policy, onError func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, err := FromHeader(r.Header)
			switch {
			case err == nil:
				r = r.WithContext(annotate(NewContext(r.Context(), id), id))
			case policy == Lenient && errors.Is(err, ErrMissing):
			default:
				onError(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Agree returns the session that a request's path names, and an error matching ErrConflict when its header names another
// one. A missing header is no conflict: an EventSource can't send any.
func Agree(path string, h http.Header) (ID, error) {
	id, err := Parse(path)
	if err != nil {
		return "", err
	}
	fromHeader, err := FromHeader(h)
	switch {
	case errors.Is(err, ErrMissing):
		return id, nil
	case err != nil:
		return "", err
	case fromHeader != id:
		return "", newError(ErrConflict, fmt.Sprintf("%q in the path, %q in the header", id, fromHeader))
	}
	return id, nil
}

const shortened = 160

func shorten(s string) string {
	if len(s) <= shortened {
		return s
	}
	return s[:shortened] + "…"
}

// annotate puts the session onto the context's span, which need not be recording.
func annotate(ctx context.Context, id ID) context.Context {
	trace.SpanFromContext(ctx).SetAttributes(SpanKey.String(string(id)))
	return ctx
}
