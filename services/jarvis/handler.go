package jarvis

import (
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/go-chi/chi/v5"

	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// Handler serves jarvis.v1 with gRPC's health and reflection, and plain /inference. Every reply names the pod.
func (p *Pod) Handler() (http.Handler, error) {
	traces, err := telemetry.Interceptor(p.tracing, p.carrier)
	if err != nil {
		return nil, err
	}
	router := chi.NewRouter()
	router.Use(p.signed)
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		wire.Problem{Status: http.StatusNotFound, Code: wire.CodeNotFound, Received: r.URL.Path, Expected: wire.PathInference}.Write(w)
	})
	router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, POST")
		wire.Problem{Status: http.StatusMethodNotAllowed, Code: wire.CodeMethodNotAllowed, Received: r.Method, Expected: "GET or POST"}.Write(w)
	})
	mount := func(path string, h http.Handler) { router.Handle(path+"*", h) }

	limit := connect.WithReadMaxBytes(maxBody)
	mount(jarvisv1connect.NewJarvisServiceHandler(&service{pod: p}, limit, connect.WithInterceptors(
		traces, edge{}, session.Interceptor(p.mode, jarvisv1connect.JarvisServiceStatusProcedure, jarvisv1connect.JarvisServicePrepareProcedure))))
	mount(grpchealth.NewHandler(p, limit))
	reflector := grpcreflect.NewStaticReflector(jarvisv1connect.JarvisServiceName, grpchealth.HealthV1ServiceName)
	mount(grpcreflect.NewHandlerV1(reflector, limit))
	mount(grpcreflect.NewHandlerV1Alpha(reflector, limit))

	plain := telemetry.Handler(p.named(http.HandlerFunc(p.inference)), p.tracing, p.carrier,
		func(r *http.Request) string { return r.Method + " " + wire.PathInference })
	router.Method(http.MethodGet, wire.PathInference, plain)
	router.Method(http.MethodPost, wire.PathInference, plain)
	return router, nil
}

// signed names the pod on every reply, refusals included.
func (p *Pod) signed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.HeaderPod, p.identity.Name)
		w.Header().Set(wire.HeaderIncarnation, p.identity.Incarnation)
		next.ServeHTTP(w, r)
	})
}

// named puts the session into a plain request's context.
func (p *Pod) named(next http.Handler) http.Handler {
	return session.Middleware(p.mode, func(w http.ResponseWriter, _ *http.Request, err error) { problem(w, err) })(next)
}
