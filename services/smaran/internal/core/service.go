package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/durationpb"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/peers"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/token"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// Options of a Service. All are needed but Peers and RequestTimeout, where 0 means none.
type Options struct {
	Backends *backend.Set
	// Backend is the one that is used unless a request names another, which AllowOverride permits.
	Backend       backend.Name
	AllowOverride bool
	Endpoints     backend.Endpoints
	// Peers is the way to one pod; its zero value is the pod's address.
	Peers peers.Way
	// Sealer seals where a session that moves is going, for the client to bring back.
	Sealer *token.Sealer
	// RequestTimeout bounds an operation, both tries together. Event streams have no bound.
	RequestTimeout time.Duration

	Tracer     trace.TracerProvider
	Propagator propagation.TextMapPropagator
	Metrics    prometheus.Registerer
	Clock      clockwork.Clock
	Log        *slog.Logger
}

// Service carries operations to pods. It is safe for concurrent use.
type Service struct {
	options   Options
	upstreams *upstreams
	calls     *calls
	visits    *visits
	metrics   *metrics
	// tracer is nil where nothing is traced.
	tracer trace.Tracer
}

// New returns a Service. It fails with backend.ErrUnknown or backend.ErrUnconfigured if Options.Backend is not in Backends.
func New(o Options) (*Service, error) {
	if _, err := o.Backends.Get(o.Backend); err != nil {
		return nil, err
	}
	u, err := newUpstreams(o.Tracer, o.Propagator)
	if err != nil {
		return nil, err
	}
	c, err := newCalls()
	if err != nil {
		return nil, err
	}
	v, err := newVisits(o.Clock)
	if err != nil {
		return nil, err
	}
	s := &Service{options: o, upstreams: u, calls: c, visits: v, metrics: newMetrics(o.Metrics)}
	s.metrics.show(o.Backend)
	o.Metrics.MustRegister(population{s})
	if !telemetry.Off(o.Tracer) {
		s.tracer = o.Tracer.Tracer(tracerName)
	}
	return s, nil
}

// Close gives up the connections to pods that are idle. Operations may follow, on new ones.
func (s *Service) Close() { s.upstreams.close() }

// Incoming is what an edge knows of a request besides its message. The session is in the context.
type Incoming struct {
	// Header is the client's.
	Header http.Header
	// lostPod makes it a redial.
	lostPod string
}

// Reply is what an edge adds to a response.
type Reply struct {
	Header http.Header
}

// Infer asks the session's pod for an answer. Every error of Service's methods is an *Error, or a *session.Error.
func (s *Service) Infer(ctx context.Context, in Incoming, m *smaranv1.InferRequest) (*smaranv1.InferResponse, Reply, error) {
	res, routing, reply, err := exchange(ctx, s, in, &jarvisv1.InferRequest{
		Prompt: m.GetPrompt(), LastTurn: m.GetLastTurn(), LastChecksum: m.GetLastChecksum(), LastEpoch: m.GetLastEpoch(),
	}, jarvisv1connect.JarvisServiceClient.Infer)
	if err != nil {
		return nil, reply, err
	}
	return &smaranv1.InferResponse{
		Text: res.GetText(), Served: res.GetServed(), Routing: routing, Compute: res.GetCompute(), Spoken: res.GetSpoken(),
	}, reply, nil
}

// PlaceCall has a pod answer an SDP offer, and remembers where the call is for Watch.
func (s *Service) PlaceCall(ctx context.Context, in Incoming, m *smaranv1.PlaceCallRequest) (*smaranv1.PlaceCallResponse, Reply, error) {
	id, err := need(ctx)
	if err != nil {
		return nil, Reply{}, err
	}
	if m.GetMigrateToken() != "" {
		return s.placeSecond(ctx, id, in, m)
	}
	in.lostPod = m.GetLostPod()
	res, routing, reply, err := exchange(ctx, s, in, &jarvisv1.OfferRequest{
		Sdp: m.GetSdp(), LastEpoch: m.GetLastEpoch(), LostPod: m.GetLostPod(),
	}, jarvisv1connect.JarvisServiceClient.Offer)
	if err != nil {
		return nil, reply, err
	}
	s.calls.placed(id, res.GetServed())
	return &smaranv1.PlaceCallResponse{Sdp: res.GetSdp(), Etag: res.GetEtag(), Served: res.GetServed(), Routing: routing}, reply, nil
}

// TrickleCall adds candidates to a call.
func (s *Service) TrickleCall(ctx context.Context, in Incoming, m *smaranv1.TrickleCallRequest) (*smaranv1.TrickleCallResponse, Reply, error) {
	if _, err := need(ctx); err != nil {
		return nil, Reply{}, err
	}
	res, _, reply, err := exchange(ctx, s, in, &jarvisv1.TrickleRequest{SdpFragment: m.GetSdpFragment(), IfMatch: m.GetIfMatch()},
		jarvisv1connect.JarvisServiceClient.Trickle)
	if err != nil {
		return nil, reply, err
	}
	return &smaranv1.TrickleCallResponse{Served: res.GetServed()}, reply, nil
}

// EndCall hangs up.
func (s *Service) EndCall(ctx context.Context, in Incoming, _ *smaranv1.EndCallRequest) (*smaranv1.EndCallResponse, Reply, error) {
	id, err := need(ctx)
	if err != nil {
		return nil, Reply{}, err
	}
	res, _, reply, err := exchange(ctx, s, in, &jarvisv1.HangupRequest{}, jarvisv1connect.JarvisServiceClient.Hangup)
	if err != nil {
		return nil, reply, err
	}
	s.calls.ended(id, res.GetServed().GetIncarnation())
	s.visits.ended(id)
	return &smaranv1.EndCallResponse{Served: res.GetServed()}, reply, nil
}

// ControlCall sends a control message to a call.
func (s *Service) ControlCall(ctx context.Context, in Incoming, m *smaranv1.ControlCallRequest) (*smaranv1.ControlCallResponse, Reply, error) {
	if _, err := need(ctx); err != nil {
		return nil, Reply{}, err
	}
	control := m.GetControl()
	if control.GetMessage() == nil {
		return nil, Reply{}, failed(wire.CodeBadRequest, nil, `no control message: expected mute or say, such as {"mute":{"muted":true}}`)
	}
	res, _, reply, err := exchange(ctx, s, in, control, jarvisv1connect.JarvisServiceClient.Control)
	if err != nil {
		return nil, reply, err
	}
	return &smaranv1.ControlCallResponse{Served: res.GetServed()}, reply, nil
}

// CreateSession mints a session.
func (s *Service) CreateSession(context.Context) (*smaranv1.CreateSessionResponse, error) {
	id, err := session.New()
	if err != nil {
		return nil, failed(wire.CodeInternal, err, "%v", err)
	}
	return &smaranv1.CreateSessionResponse{Session: string(id)}, nil
}

// need is the context's session. A call without one has no URL, so that it is needed under session.Lenient too.
func need(ctx context.Context) (session.ID, error) {
	if id, ok := session.FromContext(ctx); ok {
		return id, nil
	}
	return session.FromHeader(http.Header{}) // the error that says what is missing
}

// choose is the request's backend.
func (s *Service) choose(in Incoming) (backend.Name, backend.Backend, *Error) {
	name := s.options.Backend
	if wanted := in.Header.Get(wire.HeaderBackend); wanted != "" {
		if !s.options.AllowOverride {
			return "", nil, failed(wire.CodeOverrideForbidden, nil, "requests may not choose a backend here: leave %s out", wire.HeaderBackend)
		}
		name = backend.Name(wanted)
	}
	b, err := s.options.Backends.Get(name)
	switch {
	case errors.Is(err, backend.ErrUnknown):
		return "", nil, failed(wire.CodeBackendUnknown, err, "%v", err)
	case err != nil:
		return "", nil, failed(wire.CodeBackendUnavailable, err, "%v", err)
	}
	return name, b, nil
}

// answer is a pod's response.
type answer[T any] interface {
	*T
	GetServed() *jarvisv1.Served
}

// exchange carries one message to the target that the backend chooses, and once more if the backend says so and chooses another
// target.
func exchange[Req, Res any, A answer[Res]](ctx context.Context, s *Service, in Incoming, message *Req,
	send func(jarvisv1connect.JarvisServiceClient, context.Context, *connect.Request[Req]) (*connect.Response[Res], error),
) (A, *smaranv1.Routing, Reply, error) {
	name, b, refused := s.choose(in)
	if refused != nil {
		return nil, nil, Reply{}, refused
	}
	if s.options.RequestTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.options.RequestTimeout)
		defer cancel()
	}
	return carry[Req, Res, A](ctx, s.newTrip(ctx, name, b, in), message, send)
}

// carry is exchange over a trip of one's own.
func carry[Req, Res any, A answer[Res]](ctx context.Context, trip *trip, message *Req,
	send func(jarvisv1connect.JarvisServiceClient, context.Context, *connect.Request[Req]) (*connect.Response[Res], error),
) (A, *smaranv1.Routing, Reply, error) {
	for {
		target, err := trip.route(ctx)
		if err != nil {
			return nil, nil, trip.reply(nil), err
		}
		req := connect.NewRequest(message)
		maps.Copy(req.Header(), target.Header)
		res, err := send(trip.service.upstreams.client(target.BaseURL), ctx, req)
		if err != nil {
			if again, err := trip.failed(ctx, err); !again {
				return nil, nil, trip.reply(nil), err
			}
			continue
		}
		served := A(res.Msg).GetServed()
		trip.answered(ctx, served, res.Header())
		return res.Msg, trip.routing(), trip.reply(served), nil
	}
}

// trip is one operation's way to a pod.
type trip struct {
	service  *Service
	name     backend.Name
	backend  backend.Backend
	request  backend.Request
	target   backend.Target
	decision time.Duration
	// problem is the first try's, once a second one is made.
	problem *Error
	lesson  http.Header
	// second: the request places a second call, at a pod that does not have the session yet.
	second bool
}

func (s *Service) newTrip(ctx context.Context, name backend.Name, b backend.Backend, in Incoming) *trip {
	id, _ := session.FromContext(ctx)
	return &trip{
		service: s, name: name, backend: b,
		request: backend.Request{Session: id, LostPod: in.lostPod, Header: in.Header},
		lesson:  http.Header{},
	}
}

// route asks the backend. On a second try it fails with the first one's problem where there is nothing new to try.
func (t *trip) route(ctx context.Context) (backend.Target, error) {
	ctx, span := t.startRoute(ctx)
	start := t.service.options.Clock.Now()
	target, err := t.backend.Route(ctx, t.request)
	took := t.service.options.Clock.Since(start)
	endRoute(span, target, err)
	t.decision += took
	t.service.metrics.routed(ctx, t.name, took, target.Degraded)
	switch {
	case t.problem != nil && (err != nil || sameTarget(target, t.target)):
		return backend.Target{}, t.problem
	case err != nil:
		return backend.Target{}, notRouted(err)
	}
	t.target = target
	return target, nil
}

// sameTarget is whether a second try would be the first one again.
func sameTarget(a, b backend.Target) bool {
	return a.BaseURL == b.BaseURL && a.Address == b.Address && a.Epoch == b.Epoch
}

// failed learns from an error and reports whether to route again; else it returns what to tell the caller.
func (t *trip) failed(ctx context.Context, err error) (again bool, problem error) {
	outcome, refused := judge(err, t.target.Pod)
	lesson := t.learn(ctx, outcome)
	t.service.options.Log.DebugContext(ctx, "request failed", "code", refused.Code, "detail", refused.Detail,
		"backend", t.name, "target", t.target.BaseURL, "retry", lesson.Retry)
	if !lesson.Retry || t.problem != nil || ctx.Err() != nil {
		return false, refused
	}
	t.service.metrics.retried(t.name)
	t.problem = refused
	t.request.Refused = &backend.Refusal{Target: t.target, Outcome: outcome}
	return true, nil
}

func (t *trip) answered(ctx context.Context, served *jarvisv1.Served, h http.Header) {
	o := backend.Outcome{Result: backend.Answered, Pod: served.GetPod(), Served: true, Epoch: served.GetEpoch(), Header: h}
	if astray(t.target.Pod, o.Pod) {
		o.Result = backend.Astray
	}
	if t.request.Session != "" && o.Pod != "" && !t.second {
		result, expected := t.service.visits.answered(t.request.Session, o.Pod, t.backend, t.service.options.Endpoints.Current())
		t.service.metrics.session(t.name, result, expected)
	}
	t.annotate(ctx, served)
	t.learn(ctx, o)
}

func (t *trip) learn(ctx context.Context, o backend.Outcome) backend.Lesson {
	if o.Result == backend.Astray {
		t.service.metrics.misaddressed(t.name)
		t.service.options.Log.DebugContext(ctx, "another pod answered than the addressed one", "backend", t.name,
			"addressed", t.target.Pod, "answered", o.Pod, "served", o.Served)
	}
	lesson := t.backend.Learn(ctx, t.request, t.target, o)
	for key, values := range lesson.Header {
		t.lesson[key] = values
	}
	return lesson
}

func (t *trip) routing() *smaranv1.Routing {
	return &smaranv1.Routing{Backend: string(t.name), Degraded: t.target.Degraded, Decision: durationpb.New(t.decision)}
}

func (t *trip) reply(served *jarvisv1.Served) Reply {
	h := t.lesson
	h.Set(wire.HeaderBackend, string(t.name))
	if t.target.Degraded {
		h.Set(wire.HeaderDegraded, fmt.Sprint(true))
	}
	servedHeaders(h, served)
	return Reply{Header: h}
}
