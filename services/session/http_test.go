package session_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/smaran-v2/smaran/services/session"
)

func header(values ...string) http.Header { return http.Header{session.Header: values} }

func TestFromHeader(t *testing.T) {
	id, err := session.FromHeader(header("room-42"))
	require.NoError(t, err)
	require.Equal(t, session.ID("room-42"), id)

	_, err = session.FromHeader(http.Header{})
	require.ErrorIs(t, err, session.ErrMissing)
	_, err = session.FromHeader(header(""))
	require.ErrorIs(t, err, session.ErrEmpty)
	_, err = session.FromHeader(header("a", "a"))
	require.ErrorIs(t, err, session.ErrMultiple, "twice the same is two: a mesh hashes both")
	_, err = session.FromHeader(header("a", strings.Repeat("b", 500)))
	require.Less(t, len(err.Error()), 600, "an error does not grow with its input")
}

func TestMiddleware(t *testing.T) {
	for name, tc := range map[string]struct {
		policy session.Policy
		header http.Header
		want   string
	}{
		"strict, one":        {session.Strict, header("a"), "session a"},
		"strict, none":       {session.Strict, http.Header{}, "refused"},
		"strict, malformed":  {session.Strict, header("a b"), "refused"},
		"lenient, one":       {session.Lenient, header("a"), "session a"},
		"lenient, none":      {session.Lenient, http.Header{}, "no session"},
		"lenient, malformed": {session.Lenient, header("a b"), "refused"},
		"lenient, two":       {session.Lenient, header("a", "b"), "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			h := session.Middleware(tc.policy, func(_ http.ResponseWriter, _ *http.Request, err error) {
				var e *session.Error
				require.ErrorAs(t, err, &e)
				got = "refused"
			})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if id, ok := session.FromContext(r.Context()); ok {
					got = "session " + id.String()
					return
				}
				got = "no session"
			}))
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			req.Header = tc.header
			h.ServeHTTP(httptest.NewRecorder(), req)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestPolicyNames(t *testing.T) {
	var p session.Policy
	require.NoError(t, p.UnmarshalText([]byte("lenient")))
	require.Equal(t, session.Lenient, p)
	require.ErrorContains(t, p.UnmarshalText([]byte("loose")), "strict or lenient")
}

func TestPathAndHeaderAgree(t *testing.T) {
	id, err := session.Agree("a", http.Header{})
	require.NoError(t, err)
	require.Equal(t, session.ID("a"), id)
	_, err = session.Agree("a", header("a"))
	require.NoError(t, err)
	_, err = session.Agree("a", header("b"))
	require.ErrorIs(t, err, session.ErrConflict)
	_, err = session.Agree("a", header("b", "c"))
	require.ErrorIs(t, err, session.ErrMultiple)
	_, err = session.Agree("a b", http.Header{})
	require.ErrorIs(t, err, session.ErrMalformed)
}

func TestSpansAndLogsNameTheSession(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	var out bytes.Buffer
	log := slog.New(session.LogHandler(slog.NewTextHandler(&out, nil))).With("service", "jarvis").WithGroup("call")

	req := httptest.NewRequest(http.MethodGet, "/", nil)
	session.Set(req.Header, "room-42")
	ctx, span := tracer.Start(req.Context(), "request")
	session.Middleware(session.Strict, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		log.InfoContext(r.Context(), "answered")
		log.InfoContext(r.Context(), "moved", session.LogKey, "room-42")
	})).ServeHTTP(httptest.NewRecorder(), req.WithContext(ctx))
	span.End()

	require.Equal(t, 2, strings.Count(out.String(), "session=room-42"), "each record says so once: %s", out.String())
	attributes := spans.Ended()[0].Attributes()
	require.Len(t, attributes, 1)
	require.Equal(t, "session.id", string(attributes[0].Key))
	require.Equal(t, "room-42", attributes[0].Value.AsString())
}
