package edge

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/proto/smaran/v1/smaranv1connect"
	"github.com/smaran-v2/smaran/services/internal/routes"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// Options of the public API. All but Relay are needed.
type Options struct {
	Service     *core.Service
	SessionMode session.Policy
	// MaxBody bounds a request's body, in bytes.
	MaxBody int64
	// Origins may call from a browser; "*" is any, without cookies.
	Origins []string
	Relay   Relay

	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
	Metrics    prometheus.Registerer
	Clock      clockwork.Clock
	Log        *slog.Logger
}

type handler struct {
	options Options
	metrics *metrics
}

// New serves the public API.
func New(o Options) (http.Handler, error) {
	h := &handler{options: o, metrics: newMetrics(o.Metrics)}
	router := chi.NewRouter()
	router.Use(h.measured, h.recovered, crossOrigin(o.Origins))
	router.NotFound(notFound)
	router.MethodNotAllowed(routes.MethodNotAllowed(router))

	router.Group(func(r chi.Router) {
		r.Use(session.Middleware(o.SessionMode, func(w http.ResponseWriter, _ *http.Request, err error) { writeProblem(w, err) }))
		r.Get(wire.PathInference, h.inference)
		r.Post(wire.PathInference, h.inference)
		r.Post(wire.PathCalls, h.placeCall)
	})
	router.Group(func(r chi.Router) {
		r.Use(sessionOfPath)
		const call = wire.PathCalls + "/{session}"
		r.Patch(call, h.trickleCall)
		r.Delete(call, h.endCall)
		r.Options(call, describeCall)
		r.Get(call+"/events", h.events)
		r.Post(call+"/control", h.controlCall)
	})
	router.Options(wire.PathCalls, h.describeCalls)
	router.Post(wire.PathSessions, h.createSession)
	router.Get(wire.PathFleet, h.fleet)

	if err := h.mountRPC(router); err != nil {
		return nil, err
	}
	return telemetry.Handler(router, o.Tracer, o.Propagator, spanName), nil
}

// spanName is a request's method and route. What a client makes up, be it a session or a path, stands in no name.
func spanName(r *http.Request) string {
	path := r.URL.Path
	if rest, found := strings.CutPrefix(path, wire.PathCalls+"/"); found {
		_, action, deeper := strings.Cut(rest, "/")
		switch {
		case !deeper:
			return r.Method + " " + wire.PathCalls + "/{session}"
		case action == "events", action == "control":
			return r.Method + " " + wire.PathCalls + "/{session}/" + action
		}
	}
	switch path {
	case wire.PathInference, wire.PathCalls, wire.PathSessions, wire.PathFleet:
		return r.Method + " " + path
	}
	if procedure, found := strings.CutPrefix(path, "/"+smaranv1connect.SmaranServiceName+"/"); found && procedures[procedure] {
		return strings.TrimPrefix(path, "/")
	}
	return unrouted
}

// procedures are those of smaran.v1.
var procedures = func() map[string]bool {
	out := map[string]bool{}
	methods := smaranv1.File_smaran_v1_smaran_proto.Services().ByName("SmaranService").Methods()
	for i := range methods.Len() {
		out[string(methods.Get(i).Name())] = true
	}
	return out
}()

func (h *handler) createSession(w http.ResponseWriter, r *http.Request) {
	res, err := h.options.Service.CreateSession(r.Context())
	if err != nil {
		writeProblem(w, err)
		return
	}
	w.Header().Set(session.Header, res.GetSession())
	writeJSON(w, http.StatusCreated, res)
}

// fleet lists the pods, and their sessions with ?sessions=true.
func (h *handler) fleet(w http.ResponseWriter, r *http.Request) {
	req := new(smaranv1.GetFleetRequest)
	if text := r.URL.Query().Get("sessions"); text != "" {
		include, err := strconv.ParseBool(text)
		if err != nil {
			writeProblem(w, bad(wire.CodeBadRequest, "sessions is neither true nor false", strconv.Quote(text), "true or false", "sessions=true"))
			return
		}
		req.IncludeSessions = include
	}
	res, err := h.options.Service.Fleet(r.Context(), req)
	if err != nil {
		writeProblem(w, err)
		return
	}
	writeJSON(w, http.StatusOK, res)
}

func notFound(w http.ResponseWriter, r *http.Request) {
	paths := []string{wire.PathInference, wire.PathSessions, wire.PathCalls, wire.PathFleet}
	wire.Problem{
		Status: http.StatusNotFound, Code: wire.CodeNotFound, Detail: "there is nothing at this path",
		Received: r.URL.Path, Expected: strings.Join(paths, ", "),
	}.Write(w)
}

// recovered answers for a handler that panicked, and logs it. A reply that had begun is cut off instead, since its status is sent:
// http.ErrAbortHandler goes on to the server.
func (h *handler) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler { //nolint:errorlint // the server compares it so
				panic(cause)
			}
			h.options.Log.ErrorContext(r.Context(), "handler panicked", "path", r.URL.Path, "panic", fmt.Sprint(cause))
			if recorder.Status() != 0 {
				panic(http.ErrAbortHandler)
			}
			wire.Problem{Status: http.StatusInternalServerError, Code: wire.CodeInternal, Detail: "an error in smaran itself; its log says more"}.Write(w)
		}()
		next.ServeHTTP(recorder, r)
	})
}

// isRPC reports whether a route's pattern is a Connect service's.
func isRPC(pattern string) bool { return strings.HasSuffix(pattern, "/*") }
