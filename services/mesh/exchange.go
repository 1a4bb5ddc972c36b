package mesh

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh/balance"
	"github.com/smaran-v2/smaran/services/mesh/upstream"
	"github.com/smaran-v2/smaran/services/wire"
)

// exchange is one request and its response.
type exchange struct {
	m *Mesh
	w http.ResponseWriter
	r *http.Request
	// control is w's.
	control *http.ResponseController

	upgrade string
	timeout time.Duration
	fields  []field // set in the request to the pod
	span    trace.Span

	hash      uint64
	hashed    bool
	requested string // the address in the request's token

	target *target // the pod that was asked last
	tried  []*pod
	// completed is when the request's last byte was there, in nanoseconds since started; 0 while it is not.
	completed atomic.Int64
	started   time.Time

	// small holds the body of a request that is sent in one piece.
	small  []byte
	status int
}

// errClientGone means that there is nobody to answer.
var errClientGone = errors.New("mesh: the client is gone")

// ServeHTTP implements http.Handler.
func (m *Mesh) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange{m: m, w: w, r: r, control: http.NewResponseController(w), started: time.Now()}
	m.exchanges.Add(1)
	m.metrics.active.Inc()
	defer x.finish()
	if r.Method == http.MethodConnect {
		x.reply(replyNoRoute)
		return
	}
	if x.upgrade = upgradeTo(r); x.upgrade != "" && !isWebSocket(x.upgrade) {
		w.Header()["Connection"] = []string{"close"}
		x.reply(replyUpgrade)
		return
	}
	x.prepare()
	if err := x.run(); err != nil {
		x.fail(err)
	}
}

// finish also runs when the exchange was cut by a panic, as net/http wants it.
func (x *exchange) finish() {
	x.m.metrics.active.Dec()
	x.m.metrics.answered(x.status)
	if x.span != nil {
		finishSpan(x.span, x.status, len(x.tried)+1, x.target)
	}
	x.m.exchanges.Done()
}

func (x *exchange) prepare() {
	o, h := &x.m.options, x.r.Header
	x.timeout = o.Timeout
	if IsStream(h) {
		x.timeout = o.StreamTimeout
	}
	if x.m.session.selectable != nil {
		x.requested = x.m.session.address(h)
	} else {
		x.hash, x.hashed = affinity.HashHeader(h[x.m.sessionHeader])
	}
	// The first is the number of the try.
	x.fields = append(make([]field, 0, 6), field{headerAttemptCount, "1"})
	if len(h[headerRequestID]) == 0 {
		x.fields = append(x.fields, field{headerRequestID, x.m.requestID()})
	}
	if len(h[headerForwardedProto]) == 0 {
		x.fields = append(x.fields, field{headerForwardedProto, "http"})
	}
	if x.m.tracing != nil {
		var set []field
		x.span, set = x.m.tracing.start(x.r)
		x.fields = append(x.fields, set...)
	}
}

// requestID is a random UUID, as Envoy's.
func (m *Mesh) requestID() string {
	var id uuid.UUID
	binary.LittleEndian.PutUint64(id[:8], m.state.Random.Uint64())
	binary.LittleEndian.PutUint64(id[8:], m.state.Random.Uint64())
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80 // RFC 9562's variant
	return id.String()
}

// smallBody is the length in bytes up to which a body of known length is read before a pod is asked, and sent together with
// the head. A client that waits for a response halfway through such a body would wait in vain.
const smallBody = 16 << 10

// bodies are the buffers for small bodies and for copying responses, at least smallBody long.
var bodies = sync.Pool{New: func() any { return new([copySize]byte) }}

const copySize = 32 << 10

// run sends the request until a pod answered. What it returns was not answered yet.
func (x *exchange) run() error {
	if n := x.r.ContentLength; n > 0 && n <= smallBody && x.r.ProtoMajor == 1 {
		buf := bodies.Get().(*[copySize]byte)
		defer bodies.Put(buf)
		x.small = buf[:n]
		if _, err := io.ReadFull(x.r.Body, x.small); err != nil {
			return errors.Join(errClientGone, err)
		}
	}
	if x.small != nil || x.r.ContentLength == 0 {
		x.complete()
	}
	for attempt := uint32(1); ; attempt++ {
		t := x.choose(attempt)
		if t == nil {
			return errNoHost
		}
		x.target = t
		t.picks.Inc()
		err := x.try()
		if err == nil || !errors.Is(err, upstream.ErrConnect) || attempt > x.m.options.Retries {
			return err
		}
		x.m.metrics.retries.Inc()
		x.tried = append(x.tried, x.target.host)
		x.fields[0].value = strconv.FormatUint(uint64(attempt+1), 10)
		if err := x.backOff(attempt); err != nil {
			return err
		}
	}
}

var errNoHost = errors.New("mesh: no healthy upstream")

// choose returns nil when there is no pod.
func (x *exchange) choose(attempt uint32) *target {
	s := x.m.current.Load()
	request := balance.Request{Hash: x.hash, Hashed: x.hashed}
	if attempt == 1 {
		if x.requested != "" {
			if t := s.byAddress[x.requested]; x.m.session.selects(t) {
				return t
			}
		}
	} else if !x.m.options.RetriesSame() {
		request.Refuse = func(host int) bool { return x.wasTried(s.targets[host].host) }
	}
	if at := s.balancer.Pick(request); at >= 0 {
		return s.targets[at]
	}
	return nil
}

func (x *exchange) wasTried(p *pod) bool {
	for _, t := range x.tried {
		if t == p {
			return true
		}
	}
	return false
}

func (x *exchange) try() error {
	p := x.target.host
	p.active.Add(1)
	defer p.active.Add(-1)
	if x.r.ProtoMajor == 2 {
		return x.tryHTTP2(p)
	}
	return x.tryHTTP1(p)
}

// backOff waits as JitteredExponentialBackOffStrategy with Envoy's defaults: at random below 25 ms, then below 50, 100 and
// so on up to 250.
func (x *exchange) backOff(attempt uint32) error {
	const base, most = 25 * time.Millisecond, 250 * time.Millisecond
	below := min(base<<min(attempt-1, 8), most)
	timer := x.m.clock.NewTimer(time.Duration(x.m.state.Random.Uint64() % uint64(below)))
	defer timer.Stop()
	select {
	case <-timer.Chan():
		if deadline := x.deadline(); !deadline.IsZero() && !time.Now().Before(deadline) {
			return upstream.ErrTimeout
		}
		return nil
	case <-x.r.Context().Done():
		return errClientGone
	}
}

// complete notes that the request is there to its last byte. From here on its time-out runs.
func (x *exchange) complete() { x.completed.Store(max(1, int64(time.Since(x.started)))) }

// deadline is zero while the request is not complete, and where there is no time-out.
func (x *exchange) deadline() time.Time {
	completed := x.completed.Load()
	if completed == 0 || x.timeout == 0 || x.upgrade != "" {
		return time.Time{}
	}
	return x.started.Add(time.Duration(completed) + x.timeout)
}

// head writes what is Envoy's into the head of a pod's response. Its service time is there only if the request was
// complete before the response began.
func (x *exchange) head(res *http.Response) {
	h := x.w.Header()
	passResponse(h, res.Header)
	if completed := x.completed.Load(); completed > 0 && x.upgrade == "" {
		took := time.Since(x.started) - time.Duration(completed)
		h[wire.HeaderUpstreamServiceTime] = []string{strconv.FormatInt(took.Milliseconds(), 10)}
	}
	x.token(h)
	x.status = res.StatusCode
}

// token adds the stateful session to a response, and counts what became of the request's.
func (x *exchange) token(h http.Header) {
	if x.m.session.selectable == nil || x.target == nil {
		return
	}
	x.m.session.answer(h, x.requested, x.target)
	result := "moved"
	switch x.requested {
	case "":
		result = "new"
	case x.target.Address:
		result = "kept"
	}
	x.m.metrics.sessions.WithLabelValues(result).Inc()
}

func (x *exchange) reply(r reply) {
	x.m.metrics.failures.WithLabelValues(r.flag).Inc()
	x.token(x.w.Header())
	x.status = r.write(x.w, x.r)
}

// fail answers an error before the response began.
func (x *exchange) fail(err error) {
	switch {
	case errors.Is(err, errClientGone), errors.Is(err, context.Canceled):
		x.cut("DC", err)
	case errors.Is(err, errNoHost):
		x.reply(replyNoHost)
	case errors.Is(err, upstream.ErrTimeout):
		x.reply(replyTimeout)
	case errors.Is(err, upstream.ErrConnect) && len(x.tried) > 0:
		x.reply(replyRetried)
	case errors.Is(err, upstream.ErrConnect):
		x.reply(replyConnect)
	case errors.Is(err, upstream.ErrProtocol):
		x.reply(replyProtocol)
	default:
		x.reply(replyTerminated)
	}
}

// cut ends an exchange so that the client sees that the response is not whole.
func (x *exchange) cut(flag string, err error) {
	x.m.metrics.failures.WithLabelValues(flag).Inc()
	x.m.log.DebugContext(x.r.Context(), "exchange cut", "flag", flag, "error", err)
	panic(http.ErrAbortHandler)
}
