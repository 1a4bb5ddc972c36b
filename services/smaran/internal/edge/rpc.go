package edge

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/go-chi/chi/v5"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/proto/smaran/v1/smaranv1connect"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/wire"
)

// mountRPC serves smaran.v1 with gRPC's health and reflection.
func (h *handler) mountRPC(router chi.Router) error {
	mount := func(path string, handler http.Handler) { router.Handle(path+"*", handler) }
	limit := connect.WithReadMaxBytes(int(h.options.MaxBody))
	mount(smaranv1connect.NewSmaranServiceHandler(&rpc{service: h.options.Service}, limit, connect.WithInterceptors(
		&interceptor{handler: h},
		session.Interceptor(h.options.SessionMode,
			smaranv1connect.SmaranServiceCreateSessionProcedure, smaranv1connect.SmaranServiceGetFleetProcedure),
	)))
	mount(grpchealth.NewHandler(grpchealth.NewStaticChecker(smaranv1connect.SmaranServiceName), limit))
	reflector := grpcreflect.NewStaticReflector(smaranv1connect.SmaranServiceName, grpchealth.HealthV1ServiceName)
	mount(grpcreflect.NewHandlerV1(reflector, limit))
	mount(grpcreflect.NewHandlerV1Alpha(reflector, limit))
	return nil
}

// rpc is smaran.v1 over the core.
type rpc struct{ service *core.Service }

// unary runs one operation of the core.
func unary[Req, Res any](ctx context.Context, req *connect.Request[Req],
	operation func(context.Context, core.Incoming, *Req) (*Res, core.Reply, error),
) (*connect.Response[Res], error) {
	res, reply, err := operation(ctx, core.Incoming{Header: req.Header()}, req.Msg)
	if err != nil {
		return nil, withReply(err, reply)
	}
	out := connect.NewResponse(res)
	addHeaders(out.Header(), reply.Header)
	return out, nil
}

// withReply is the error with what a reply would have said.
func withReply(err error, reply core.Reply) error {
	failed := rpcError(err)
	if e, ok := failed.(*connect.Error); ok { //nolint:errorlint // rpcError made it
		addHeaders(e.Meta(), reply.Header)
	}
	return failed
}

func (s *rpc) Infer(ctx context.Context, req *connect.Request[smaranv1.InferRequest]) (*connect.Response[smaranv1.InferResponse], error) {
	return unary(ctx, req, s.service.Infer)
}

func (s *rpc) PlaceCall(ctx context.Context, req *connect.Request[smaranv1.PlaceCallRequest]) (*connect.Response[smaranv1.PlaceCallResponse], error) {
	return unary(ctx, req, s.service.PlaceCall)
}

func (s *rpc) TrickleCall(ctx context.Context, req *connect.Request[smaranv1.TrickleCallRequest]) (*connect.Response[smaranv1.TrickleCallResponse], error) {
	return unary(ctx, req, s.service.TrickleCall)
}

func (s *rpc) EndCall(ctx context.Context, req *connect.Request[smaranv1.EndCallRequest]) (*connect.Response[smaranv1.EndCallResponse], error) {
	return unary(ctx, req, s.service.EndCall)
}

func (s *rpc) ControlCall(ctx context.Context, req *connect.Request[smaranv1.ControlCallRequest]) (*connect.Response[smaranv1.ControlCallResponse], error) {
	return unary(ctx, req, s.service.ControlCall)
}

func (s *rpc) CreateSession(ctx context.Context, _ *connect.Request[smaranv1.CreateSessionRequest]) (*connect.Response[smaranv1.CreateSessionResponse], error) {
	res, err := s.service.CreateSession(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(res), nil
}

func (s *rpc) GetFleet(ctx context.Context, req *connect.Request[smaranv1.GetFleetRequest]) (*connect.Response[smaranv1.GetFleetResponse], error) {
	res, err := s.service.Fleet(ctx, req.Msg)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(res), nil
}

func (s *rpc) WatchCall(ctx context.Context, req *connect.Request[smaranv1.WatchCallRequest], stream *connect.ServerStream[smaranv1.WatchCallResponse]) error {
	ctx, stop := httpserver.UntilStopping(ctx)
	defer stop()
	return s.service.Watch(ctx, core.Incoming{Header: req.Header()}, rpcEvents{stream})
}

// rpcEvents sends events as messages.
type rpcEvents struct {
	stream *connect.ServerStream[smaranv1.WatchCallResponse]
}

// Open implements core.Events.
func (e rpcEvents) Open(reply core.Reply) error {
	addHeaders(e.stream.ResponseHeader(), reply.Header)
	return nil
}

// Send implements core.Events.
func (e rpcEvents) Send(event *jarvisv1.WatchResponse) error {
	return e.stream.Send(&smaranv1.WatchCallResponse{Event: event})
}

// interceptor counts RPCs and turns their errors into Connect's.
type interceptor struct{ handler *handler }

// WrapUnary implements connect.Interceptor.
func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		start := i.handler.options.Clock.Now()
		res, err := next(ctx, req)
		err = rpcError(err)
		backend := ""
		if err == nil {
			backend = res.Header().Get(wire.HeaderBackend)
		}
		i.handler.metrics.count(req.Spec().Procedure, backend, codeName(err))
		i.handler.metrics.observe(ctx, req.Spec().Procedure, backend, i.handler.options.Clock.Since(start))
		return res, err
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (*interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		err := rpcError(next(ctx, conn))
		i.handler.metrics.count(conn.Spec().Procedure, conn.ResponseHeader().Get(wire.HeaderBackend), codeName(err))
		return err
	}
}

func codeName(err error) string {
	if err == nil {
		return "ok"
	}
	return connect.CodeOf(err).String()
}
