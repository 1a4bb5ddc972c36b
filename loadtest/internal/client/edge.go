package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/telemetry"
	"github.com/smaran-v2/smaran/services/wire"
)

// maxReply bounds a reply, in bytes.
const maxReply = 1 << 20

// edge speaks the coordinator's HTTP API for one session, and echoes the stateful session it is given.
type edge struct {
	// bases take the requests in turn; turn counts them.
	bases   []string
	turn    atomic.Uint64
	session session.ID
	// headerless: the session is left out.
	headerless atomic.Bool
	http       *http.Client
	// forwarded is told of each reply that another pod than the session's owner passed on.
	forwarded func()

	// tracer is nil where nothing is traced.
	tracer trace.Tracer

	mu    sync.Mutex
	token string
	// call is the caller's span; nil before it places its call, and where nothing is traced.
	call trace.Span
}

const tracerName = "github.com/smaran-v2/smaran/loadtest"

// beginCall has all requests from now on be of one trace. The returned function ends its first span.
func (e *edge) beginCall(ctx context.Context) (end func()) {
	if e.tracer == nil {
		return func() {}
	}
	_, span := e.tracer.Start(ctx, wire.SpanCall, trace.WithNewRoot(), trace.WithAttributes(session.SpanKey.String(string(e.session))))
	e.mu.Lock()
	e.call = span
	e.mu.Unlock()
	return func() { span.End() }
}

func newEdge(cfg Config, forwarded func()) (*edge, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("cookie jar: %w", err)
	}
	e := &edge{bases: cfg.BaseURLs, session: cfg.Session, forwarded: forwarded, http: &http.Client{Transport: cfg.Transport, Jar: jar}}
	e.headerless.Store(cfg.Headerless)
	if !telemetry.Off(cfg.Tracer) {
		e.tracer = cfg.Tracer.Tracer(tracerName)
		e.http.Transport = telemetry.Transport(cfg.Transport, cfg.Tracer, cfg.Propagator, func(r *http.Request) string { return r.Method })
	}
	return e, nil
}

// base is where the next request goes.
func (e *edge) base() string {
	return e.bases[(e.turn.Add(1)-1)%uint64(len(e.bases))]
}

// do sends one request. The caller closes the reply's body.
func (e *edge) do(ctx context.Context, method, path, contentType string, body []byte, extra http.Header) (*http.Response, error) {
	e.mu.Lock()
	token, call := e.token, e.call
	e.mu.Unlock()
	if call != nil {
		ctx = trace.ContextWithSpan(ctx, call)
	}
	r, err := http.NewRequestWithContext(ctx, method, e.base()+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	for name, values := range extra {
		r.Header[name] = values
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if !e.headerless.Load() {
		session.Set(r.Header, e.session)
	}
	if token != "" {
		r.Header.Set(wire.HeaderStateful, token)
	}
	res, err := e.http.Do(r)
	if err != nil {
		return nil, err
	}
	if token := res.Header.Get(wire.HeaderStateful); token != "" {
		e.mu.Lock()
		e.token = token
		e.mu.Unlock()
	}
	return res, nil
}

// exchange sends a request, wants the status, and returns the reply with its whole body read.
func (e *edge) exchange(ctx context.Context, want int, method, path, contentType string, body []byte, extra http.Header) (http.Header, []byte, error) {
	res, err := e.do(ctx, method, path, contentType, body, extra)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		return nil, nil, failed(res)
	}
	if res.Header.Get(wire.HeaderForwarded) != "" {
		e.forwarded()
	}
	reply, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return nil, nil, err
	}
	return res.Header, reply, nil
}

func (e *edge) infer(ctx context.Context, q *smaranv1.InferRequest) (*smaranv1.InferResponse, error) {
	body, err := protojson.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode the question: %w", err)
	}
	_, reply, err := e.exchange(ctx, http.StatusOK, http.MethodPost, wire.PathInference, wire.ContentTypeJSON, body, nil)
	if err != nil {
		return nil, err
	}
	return decode(reply, &smaranv1.InferResponse{})
}

// offer is WHIP's POST, with headers of its own, such as the lost pod's.
func (e *edge) offer(ctx context.Context, sdp string, extra http.Header) (Offered, error) {
	h, answer, err := e.exchange(ctx, http.StatusCreated, http.MethodPost, wire.PathCalls, wire.ContentTypeSDP, []byte(sdp), extra)
	if err != nil {
		return Offered{}, err
	}
	return Offered{
		SDP: string(answer), ETag: h.Get("ETag"), Location: h.Get("Location"),
		Pod: h.Get(wire.HeaderPod), Incarnation: h.Get(wire.HeaderIncarnation),
	}, nil
}

// trickle is WHIP's PATCH.
func (e *edge) trickle(ctx context.Context, location, etag, fragment string) error {
	extra := http.Header{}
	if etag != "" {
		extra.Set("If-Match", etag)
	}
	_, _, err := e.exchange(ctx, http.StatusNoContent, http.MethodPatch, location, wire.ContentTypeSDPFragment, []byte(fragment), extra)
	return err
}

// control sends a control message; any status 2xx is good.
func (e *edge) control(ctx context.Context, location string, m *jarvisv1.ControlRequest) error {
	body, err := protojson.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode the control message: %w", err)
	}
	_, _, err = e.exchange(ctx, http.StatusOK, http.MethodPost, location, wire.ContentTypeJSON, body, nil)
	return err
}

// hangup is WHIP's DELETE.
func (e *edge) hangup(ctx context.Context, location string) error {
	_, _, err := e.exchange(ctx, http.StatusOK, http.MethodDelete, location, "", nil, nil)
	return err
}

// events opens the call's event stream. The caller closes it.
func (e *edge) events(ctx context.Context, path string) (io.ReadCloser, error) {
	res, err := e.do(ctx, http.MethodGet, path, "", nil, http.Header{"Accept": {wire.ContentTypeEventStream}})
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		return nil, failed(res)
	}
	return res.Body, nil
}

// decode reads JSON, tolerating fields of a later version.
func decode[M proto.Message](b []byte, m M) (M, error) {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return m, fmt.Errorf("%w: %w", errReply, err)
	}
	return m, nil
}
