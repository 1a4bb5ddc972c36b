package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/smaran-v2/smaran/services/session"
)

const (
	whoami = "/test.v1.Test/Whoami"
	stream = "/test.v1.Test/Stream"
	status = "/test.v1.Test/Status"
)

// serve answers with the session it finds in the context.
func serve(t *testing.T, policy session.Policy) string {
	t.Helper()
	opt := connect.WithInterceptors(session.Interceptor(policy, status))
	unary := func(ctx context.Context, _ *connect.Request[emptypb.Empty]) (*connect.Response[wrapperspb.StringValue], error) {
		id, _ := session.FromContext(ctx)
		return connect.NewResponse(wrapperspb.String(id.String())), nil
	}
	mux := http.NewServeMux()
	mux.Handle(whoami, connect.NewUnaryHandler(whoami, unary, opt))
	mux.Handle(status, connect.NewUnaryHandler(status, unary, opt))
	mux.Handle(stream, connect.NewServerStreamHandler(stream,
		func(ctx context.Context, _ *connect.Request[emptypb.Empty], s *connect.ServerStream[wrapperspb.StringValue]) error {
			id, _ := session.FromContext(ctx)
			return s.Send(wrapperspb.String(id.String()))
		}, opt))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func client(url, procedure string) *connect.Client[emptypb.Empty, wrapperspb.StringValue] {
	return connect.NewClient[emptypb.Empty, wrapperspb.StringValue](http.DefaultClient, url+procedure,
		connect.WithInterceptors(session.Interceptor(session.Strict)))
}

func TestTheContextCrossesConnect(t *testing.T) {
	url := serve(t, session.Strict)
	ctx := session.NewContext(t.Context(), "room-42")

	res, err := client(url, whoami).CallUnary(ctx, connect.NewRequest(&emptypb.Empty{}))
	require.NoError(t, err)
	require.Equal(t, "room-42", res.Msg.GetValue())

	s, err := client(url, stream).CallServerStream(ctx, connect.NewRequest(&emptypb.Empty{}))
	require.NoError(t, err)
	require.True(t, s.Receive())
	require.Equal(t, "room-42", s.Msg().GetValue())
	require.NoError(t, s.Close())
}

func TestConnectRefusesAMissingSession(t *testing.T) {
	url := serve(t, session.Strict)
	_, err := client(url, whoami).CallUnary(t.Context(), connect.NewRequest(&emptypb.Empty{}))
	require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
	require.ErrorContains(t, err, session.Example)

	s, err := client(url, stream).CallServerStream(t.Context(), connect.NewRequest(&emptypb.Empty{}))
	require.NoError(t, err)
	require.False(t, s.Receive())
	require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(s.Err()))
	_ = s.Close()

	_, err = client(url, status).CallUnary(t.Context(), connect.NewRequest(&emptypb.Empty{}))
	require.NoError(t, err, "exempt")

	res, err := client(serve(t, session.Lenient), whoami).CallUnary(t.Context(), connect.NewRequest(&emptypb.Empty{}))
	require.NoError(t, err)
	require.Empty(t, res.Msg.GetValue())
}

func TestConnectClientRefusesAConflict(t *testing.T) {
	url := serve(t, session.Strict)
	ctx := session.NewContext(t.Context(), "room-42")
	req := connect.NewRequest(&emptypb.Empty{})
	session.Set(req.Header(), "room-43")
	_, err := client(url, whoami).CallUnary(ctx, req)
	require.ErrorIs(t, err, session.ErrConflict)
}

func TestConnectClientRefusesAConflictInAStream(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	t.Cleanup(server.Close)
	ctx := session.NewContext(t.Context(), "room-42")

	req := connect.NewRequest(&emptypb.Empty{})
	session.Set(req.Header(), "room-43")
	_, err := client(server.URL, stream).CallServerStream(ctx, req)
	require.ErrorIs(t, err, session.ErrConflict)

	bidi := client(server.URL, stream).CallBidiStream(ctx)
	session.Set(bidi.RequestHeader(), "room-43")
	received := make(chan error, 1)
	go func() {
		_, err := bidi.Receive()
		received <- err
	}()
	require.ErrorIs(t, bidi.Send(&emptypb.Empty{}), session.ErrConflict)
	require.ErrorIs(t, <-received, session.ErrConflict)
	require.Empty(t, bidi.ResponseHeader())
	require.Empty(t, bidi.ResponseTrailer())
	require.ErrorIs(t, bidi.CloseRequest(), session.ErrConflict)
	require.NoError(t, bidi.CloseResponse())

	closed := client(server.URL, stream).CallClientStream(ctx)
	session.Set(closed.RequestHeader(), "room-43")
	_, err = closed.CloseAndReceive()
	require.ErrorIs(t, err, session.ErrConflict, "though nothing was to be sent")
	require.Zero(t, requests.Load())

	agreed := connect.NewRequest(&emptypb.Empty{})
	session.Set(agreed.Header(), "room-42")
	s, err := client(serve(t, session.Strict), stream).CallServerStream(ctx, agreed)
	require.NoError(t, err)
	require.True(t, s.Receive())
	require.Equal(t, "room-42", s.Msg().GetValue())
	require.NoError(t, s.Close())
}
