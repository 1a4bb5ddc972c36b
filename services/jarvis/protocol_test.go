package jarvis_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// h2c is a client that speaks HTTP/2 without TLS, as gRPC does.
func h2c(t *testing.T) *http.Client {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestEveryProtocolIsSpoken(t *testing.T) {
	b := ready(t, nil)
	for name, c := range map[string]struct {
		client *http.Client
		option connect.ClientOption
	}{
		"connect over HTTP/1.1": {b.http, connect.WithClientOptions()},
		"connect as JSON":       {b.http, connect.WithProtoJSON()},
		"connect over h2c":      {h2c(t), connect.WithClientOptions()},
		"grpc":                  {h2c(t), connect.WithGRPC()},
		"grpc-web":              {b.http, connect.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			client := jarvisv1connect.NewJarvisServiceClient(c.client, b.url, c.option,
				connect.WithInterceptors(session.Interceptor(session.Strict)))
			res, err := client.Infer(as(t, "a"), connect.NewRequest(&jarvisv1.InferRequest{}))
			require.NoError(t, err)
			require.Equal(t, "a", res.Msg.GetServed().GetSession())
			require.Equal(t, "jarvis-1", res.Header().Get(wire.HeaderPod))

			_, err = client.Hangup(as(t, "a"), connect.NewRequest(&jarvisv1.HangupRequest{}))
			require.NotNil(t, requireCode(t, connect.CodeFailedPrecondition, wire.CodeOwnerMoved, err))

			_, err = client.Infer(t.Context(), connect.NewRequest(&jarvisv1.InferRequest{}))
			requireCode(t, connect.CodeInvalidArgument, "no session header", err)
		})
	}
}

func TestStatusNeedsNoSessionAndListsThem(t *testing.T) {
	b := ready(t, func(o *jarvis.Options) { o.WeightsMB = 2 })
	b.offer(t, "b")
	_, err := b.inferAt(t, "a", "3")
	require.NoError(t, err)

	res, err := b.rpc.Status(t.Context(), connect.NewRequest(&jarvisv1.StatusRequest{IncludeSessions: true}))
	require.NoError(t, err)
	got := res.Msg
	require.Equal(t, []uint32{2, 10, 1, 5, 2}, []uint32{got.GetSessions(), got.GetMaxSessions(), got.GetCalls(), got.GetMaxCalls(), got.GetWeightsMb()})
	require.Equal(t, "incarnation-1", got.GetIncarnation())
	require.Len(t, got.GetSessionList(), 2)
	a, other := got.GetSessionList()[0], got.GetSessionList()[1]
	require.Equal(t, "a", a.GetSession())
	require.EqualValues(t, 1, a.GetTurn())
	require.EqualValues(t, 3, a.GetEpoch())
	require.False(t, a.GetCallHeld())
	require.Equal(t, "b", other.GetSession())
	require.True(t, other.GetCallHeld())

	res, err = b.rpc.Status(t.Context(), connect.NewRequest(&jarvisv1.StatusRequest{}))
	require.NoError(t, err)
	require.Empty(t, res.Msg.GetSessionList())
}

func TestHealthFollowsTheWeightsAndNotTheDrain(t *testing.T) {
	b := start(t, nil)
	check := func() string {
		reply := b.plain(t, "POST", "/grpc.health.v1.Health/Check", `{"service":"`+jarvisv1connect.JarvisServiceName+`"}`,
			"Content-Type", wire.ContentTypeJSON)
		require.Equal(t, http.StatusOK, reply.StatusCode, reply.body)
		return reply.body
	}
	require.Contains(t, check(), "STATUS_NOT_SERVING")
	require.NoError(t, b.Load(t.Context()))
	require.Contains(t, check(), "STATUS_SERVING")
	b.Drain(t.Context(), drainTimeout)
	require.Contains(t, check(), "STATUS_SERVING")
	reply := b.plain(t, "POST", "/grpc.health.v1.Health/Check", `{"service":"other"}`, "Content-Type", wire.ContentTypeJSON)
	require.Equal(t, http.StatusNotFound, reply.StatusCode)
}

func TestReflectionListsTheService(t *testing.T) {
	b := ready(t, nil)
	stream := grpcreflect.NewClient(h2c(t), b.url, connect.WithGRPC()).NewStream(context.Background())
	names, err := stream.ListServices()
	require.NoError(t, err)
	require.Len(t, names, 2)
	require.EqualValues(t, jarvisv1connect.JarvisServiceName, names[0])
	_, err = stream.Close()
	require.NoError(t, err)
}

func TestSpansJoinTheCallersTraceAndNameTheSession(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	b := ready(t, func(o *jarvis.Options) { o.Tracer = provider })

	req := connect.NewRequest(&jarvisv1.InferRequest{})
	req.Header().Set("Traceparent", parent)
	_, err := b.rpc.Infer(as(t, "a"), req)
	require.NoError(t, err)
	b.plain(t, "GET", wire.PathInference, "", session.Header, "a", "Traceparent", parent)

	require.Eventually(t, func() bool { return len(spans.Ended()) == 4 }, 10*time.Second, time.Millisecond)
	names := map[string]int{}
	for _, span := range spans.Ended() {
		names[span.Name()]++
		require.Equal(t, "0af7651916cd43dd8448eb211c80319c", span.SpanContext().TraceID().String())
		if span.Name() != "jarvis.infer" {
			require.Contains(t, span.Attributes(), attribute.String("session.id", "a"), span.Name())
		} else {
			require.Contains(t, span.Attributes(), attribute.String("jarvis.pod", "jarvis-1"))
		}
	}
	require.Equal(t, map[string]int{"jarvis.infer": 2, "jarvis.v1.JarvisService/Infer": 1, "GET /inference": 1}, names)
}
