package edge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/proto/smaran/v1/smaranv1connect"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/wire"
)

// onEveryProtocol runs a test by Connect and by gRPC.
func onEveryProtocol(t *testing.T, test func(t *testing.T, connectTo func(*server) smaranv1connect.SmaranServiceClient)) {
	carry := connect.WithInterceptors(session.Interceptor(session.Strict))
	t.Run("connect", func(t *testing.T) {
		test(t, func(s *server) smaranv1connect.SmaranServiceClient {
			return smaranv1connect.NewSmaranServiceClient(s.client, s.url, carry)
		})
	})
	t.Run("grpc", func(t *testing.T) {
		test(t, func(s *server) smaranv1connect.SmaranServiceClient {
			return smaranv1connect.NewSmaranServiceClient(h2c(t), s.url, connect.WithGRPC(), carry)
		})
	})
}

func h2c(t *testing.T) *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestTheSameOperationsByRPC(t *testing.T) {
	onEveryProtocol(t, func(t *testing.T, connectTo func(*server) smaranv1connect.SmaranServiceClient) {
		s := start(t, podtest.NewFleet(t, 2))
		client := connectTo(s)
		minted, err := client.CreateSession(t.Context(), connect.NewRequest(&smaranv1.CreateSessionRequest{}))
		require.NoError(t, err)
		id, err := session.Parse(minted.Msg.GetSession())
		require.NoError(t, err)
		ctx := session.NewContext(t.Context(), id)

		placed, err := client.PlaceCall(ctx, connect.NewRequest(&smaranv1.PlaceCallRequest{Sdp: "offer"}))
		require.NoError(t, err)
		require.Equal(t, "answer to offer", placed.Msg.GetSdp())
		require.Equal(t, podtest.ETag, placed.Msg.GetEtag())
		pod := s.Pod(placed.Msg.GetServed().GetPod())
		require.Equal(t, pod.Name, placed.Header().Get(wire.HeaderPod))

		answer, err := client.Infer(ctx, connect.NewRequest(&smaranv1.InferRequest{Prompt: "hello"}))
		require.NoError(t, err)
		require.Equal(t, "heard hello", answer.Msg.GetText())
		require.True(t, answer.Msg.GetSpoken())
		require.Equal(t, "app-hash", answer.Msg.GetRouting().GetBackend())

		_, err = client.TrickleCall(ctx, connect.NewRequest(&smaranv1.TrickleCallRequest{SdpFragment: "a=candidate", IfMatch: podtest.ETag}))
		require.NoError(t, err)
		_, err = client.ControlCall(ctx, connect.NewRequest(&smaranv1.ControlCallRequest{
			Control: &jarvisv1.ControlRequest{Message: &jarvisv1.ControlRequest_Say{Say: &jarvisv1.Say{Text: "hi"}}}}))
		require.NoError(t, err)

		fleet, err := client.GetFleet(t.Context(), connect.NewRequest(&smaranv1.GetFleetRequest{IncludeSessions: true}))
		require.NoError(t, err)
		require.Len(t, fleet.Msg.GetPods(), 2)

		stream, err := client.WatchCall(ctx, connect.NewRequest(&smaranv1.WatchCallRequest{}))
		require.NoError(t, err)
		require.True(t, stream.Receive())
		require.Equal(t, pod.Name, stream.Msg().GetEvent().GetPod().GetServed().GetPod())
		require.Equal(t, pod.Name, stream.ResponseHeader().Get(wire.HeaderPod))
		_, err = client.EndCall(ctx, connect.NewRequest(&smaranv1.EndCallRequest{}))
		require.NoError(t, err)
		require.True(t, stream.Receive())
		require.Equal(t, "hangup", stream.Msg().GetEvent().GetEnded().GetReason())
		require.False(t, stream.Receive())
		require.NoError(t, stream.Err())
		require.NoError(t, stream.Close())

		placed, err = client.PlaceCall(ctx, connect.NewRequest(&smaranv1.PlaceCallRequest{Sdp: "offer", LostPod: pod.Name}))
		require.NoError(t, err)
		require.NotEqual(t, pod.Name, placed.Msg.GetServed().GetPod())
	})
}

func TestAWatchedPodThatIsLostByRPC(t *testing.T) {
	onEveryProtocol(t, func(t *testing.T, connectTo func(*server) smaranv1connect.SmaranServiceClient) {
		s := start(t, podtest.NewFleet(t, 2))
		pod := s.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
		stream, err := connectTo(s).WatchCall(session.NewContext(t.Context(), "s"), connect.NewRequest(&smaranv1.WatchCallRequest{}))
		require.NoError(t, err)
		require.True(t, stream.Receive())
		pod.Kill()
		require.True(t, stream.Receive())
		require.Equal(t, pod.Incarnation, stream.Msg().GetEvent().GetPodLost().GetIncarnation())
		require.False(t, stream.Receive())
		require.NoError(t, stream.Err())
		require.NoError(t, stream.Close())
	})
}

func TestErrorsByRPC(t *testing.T) {
	full := connect.NewError(connect.CodeResourceExhausted, errors.New("pod_full: no room"))
	full.Meta().Set(wire.HeaderRetryAfter, "1")
	for name, c := range map[string]struct {
		session session.ID
		refuse  error
		backend string
		code    connect.Code
		says    wire.Code
	}{
		"session_missing":    {code: connect.CodeInvalidArgument, says: "session_missing"},
		"owner_moved":        {session: "s", refuse: podtest.NotHeld("jarvis-7", 12), code: connect.CodeFailedPrecondition, says: wire.CodeOwnerMoved},
		"pod_full":           {session: "s", refuse: full, code: connect.CodeResourceExhausted, says: wire.CodePodFull},
		"draining":           {session: "s", refuse: connect.NewError(connect.CodeUnavailable, errors.New("draining: soon gone")), code: connect.CodeUnavailable, says: wire.CodeDraining},
		"override_forbidden": {session: "s", backend: "roundrobin", code: connect.CodePermissionDenied, says: wire.CodeOverrideForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			onEveryProtocol(t, func(t *testing.T, connectTo func(*server) smaranv1connect.SmaranServiceClient) {
				s := start(t, podtest.NewFleet(t, 1))
				s.Pod("jarvis-0").Refuse(func(string) error { return c.refuse })
				ctx := t.Context()
				if c.session != "" {
					ctx = session.NewContext(ctx, c.session)
				}
				req := connect.NewRequest(&smaranv1.InferRequest{})
				if c.backend != "" {
					req.Header().Set(wire.HeaderBackend, c.backend)
				}
				_, err := connectTo(s).Infer(ctx, req)
				var got *connect.Error
				require.ErrorAs(t, err, &got)
				require.Equal(t, c.code, got.Code())
				require.Contains(t, got.Message(), string(c.says)+": ")
				switch c.says {
				case wire.CodeOwnerMoved:
					require.Len(t, got.Details(), 1)
					detail, err := got.Details()[0].Value()
					require.NoError(t, err)
					moved, ok := detail.(*jarvisv1.CallNotHeld)
					require.True(t, ok)
					require.Equal(t, "jarvis-7", moved.GetOwner())
					require.EqualValues(t, 12, moved.GetEpoch())
				case wire.CodePodFull:
					require.Equal(t, "1", got.Meta().Get(wire.HeaderRetryAfter))
				}
			})
		})
	}
}

func TestADeadlineReachesThePod(t *testing.T) {
	onEveryProtocol(t, func(t *testing.T, connectTo func(*server) smaranv1connect.SmaranServiceClient) {
		s := start(t, podtest.NewFleet(t, 1))
		s.Pod("jarvis-0").Hang(t)
		client := connectTo(s)
		for within := 50 * time.Millisecond; len(s.Pod("jarvis-0").Headers()) == 0 && within < podtest.Wait; within *= 2 { // a busy machine takes longer
			ctx, cancel := context.WithTimeout(session.NewContext(t.Context(), "s"), within)
			defer cancel()
			_, err := client.Infer(ctx, connect.NewRequest(&smaranv1.InferRequest{}))
			require.Equal(t, connect.CodeDeadlineExceeded, connect.CodeOf(err))
		}
		require.NotEmpty(t, s.Pod("jarvis-0").Headers())
		require.NotEmpty(t, s.Pod("jarvis-0").Headers()[0].Get("Connect-Timeout-Ms"))
	})
}

func TestStatefulTokensByRPC(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 4), func(set *settings) { set.backend, set.policy = backend.StatefulHeader, "stateful-header" })
	client := smaranv1connect.NewSmaranServiceClient(s.client, s.url, connect.WithInterceptors(session.Interceptor(session.Strict)))
	ask := func(token string) *connect.Response[smaranv1.InferResponse] {
		req := connect.NewRequest(&smaranv1.InferRequest{})
		if token != "" {
			req.Header().Set(wire.HeaderStateful, token)
		}
		res, err := client.Infer(session.NewContext(t.Context(), "s"), req)
		require.NoError(t, err)
		return res
	}
	first := ask("")
	token := first.Header().Get(wire.HeaderStateful)
	require.NotEmpty(t, token)
	for range 8 {
		require.Equal(t, first.Msg.GetServed().GetPod(), ask(token).Msg.GetServed().GetPod())
	}
}

func TestHealthAndReflection(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 0))
	res, body := s.do(t, request{
		method: http.MethodPost, path: "/" + grpchealth.HealthV1ServiceName + "/Check",
		header: as("", "Content-Type", wire.ContentTypeJSON), body: `{"service":"` + smaranv1connect.SmaranServiceName + `"}`,
	})
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	require.Contains(t, body, "SERVING")

	client := grpcreflect.NewClient(h2c(t), s.url, connect.WithGRPC())
	stream := client.NewStream(t.Context())
	defer func() { _, _ = stream.Close() }()
	names, err := stream.ListServices()
	require.NoError(t, err)
	require.Contains(t, names, protoreflect.FullName(smaranv1connect.SmaranServiceName))
}
