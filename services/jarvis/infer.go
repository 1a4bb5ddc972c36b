package jarvis

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/jonboulle/clockwork"
	"go.opentelemetry.io/otel/codes"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// question is a request for an answer, from RPC, plain HTTP or a caller's speech.
type question struct {
	// session is empty where lenient mode let a request pass without one.
	session session.ID
	prompt  string
	last    state.Point
	epoch   uint64
	// seen is the highest epoch that the caller knows; passed: another pod passed the question on.
	seen   uint64
	passed bool
	// fresh computes also what was answered before.
	fresh bool
}

type reply struct {
	text    string
	served  *jarvisv1.Served
	compute time.Duration
	spoken  bool
}

// infer answers a question, aloud where the call is here and that is wanted, and counts and traces it.
func (p *Pod) infer(ctx context.Context, q question, aloud bool) (reply, error) {
	ctx, span := p.traces.Start(ctx, q.session, wire.SpanInfer)
	defer span.End()
	start := p.clock.Now()
	r, err := p.answer(ctx, q, aloud)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return reply{}, err
	}
	r.compute = p.clock.Since(start)
	found := cacheStateName(r.served.State)
	p.metrics.inferred(ctx, found, r.compute)
	span.SetAttributes(wire.AttributeState.String(found), wire.AttributePod.String(p.identity.Name))
	return r, nil
}

func (p *Pod) answer(ctx context.Context, q question, aloud bool) (reply, error) {
	// A pod that drains goes on with the sessions it has; one without a session is always new.
	if p.isDraining() && !p.sessions.Has(q.session) {
		return reply{}, ErrDraining
	}
	if err := p.awaitWeights(ctx); err != nil {
		return reply{}, err
	}
	if q.session == "" {
		return p.answerStranger(ctx, q)
	}
	held, release, err := p.hold(q.session, q.epoch)
	if err != nil {
		return reply{}, err
	}
	defer release()
	inference := held.Begin(state.Request{Prompt: q.prompt, Last: q.last, Fresh: q.fresh})
	if err := wait(ctx, p.clock, inference.Wait); err != nil {
		return reply{}, err
	}
	answered, err := p.finish(inference)
	if err != nil {
		return reply{}, err
	}
	p.answered(q.session)
	served := p.served(q.session)
	served.State = inference.State
	served.Turn, served.Checksum, served.PreviousChecksum = answered.Turn, answered.Text(), answered.Previous.Text()
	if p.handoff != nil { // the session may be another pod's by now
		served.Epoch = answered.Epoch
	}
	r := reply{text: inference.Text, served: served}
	if aloud { // before the session is let go: its call may be waiting for that to move
		r.spoken = p.speak(q, r)
	}
	return r, nil
}

func (p *Pod) finish(i state.Inference) (state.Answered, error) {
	if p.handoff != nil {
		return i.FinishOwned()
	}
	return i.Finish(), nil
}

// answerStranger serves a request that names no session: always cold, and without leaving a trace.
func (p *Pod) answerStranger(ctx context.Context, q question) (reply, error) {
	// Each gets figures of its own, or all would take exactly as long. No session id has a slash in it.
	stream := p.model.Stream(session.ID("stranger/" + strconv.FormatUint(p.strangers.Add(1), 10)))
	if err := wait(ctx, p.clock, stream.Load()+stream.Inference()); err != nil {
		return reply{}, err
	}
	served := p.served("")
	served.State = jarvisv1.CacheState_CACHE_STATE_COLD
	return reply{text: stream.Answer(q.prompt), served: served}, nil
}

// speak has the agent say an answer on the session's call, if the call is here.
func (p *Pod) speak(q question, r reply) bool {
	if !r.served.CallHeld {
		return false
	}
	spoken, err := p.calls.Say(q.session, r.text, r.served.Turn)
	if err != nil { // the call ended meanwhile
		r.served.CallHeld = p.calls.Holds(q.session)
		return false
	}
	return spoken
}

// inferAloud is infer and speak, as asked for over RPC or HTTP, here or where the session is.
func (p *Pod) inferAloud(ctx context.Context, q question) (*jarvisv1.InferResponse, error) {
	p.traces.Asked(ctx, q.session)
	return anywhere(ctx, p, q.session, handoff.Need{Seen: q.seen, Last: q.last, Forwarded: q.passed},
		func() (*jarvisv1.InferResponse, error) {
			r, err := p.infer(ctx, q, true)
			if err != nil {
				return nil, err
			}
			return inferResponse(r), nil
		},
		&jarvisv1.InferRequest{Prompt: q.prompt, LastTurn: q.last.Turn, LastChecksum: q.last.Text(), LastEpoch: q.seen},
		jarvisv1connect.JarvisServiceClient.Infer)
}

// ask reads the parts of a request that RPC and plain HTTP share.
func ask(id session.ID, h http.Header, msg *jarvisv1.InferRequest) (question, error) {
	epoch, err := parseEpoch(h.Get(wire.HeaderEpoch))
	if err != nil {
		return question{}, err
	}
	last, err := state.ParsePoint(msg.GetLastTurn(), msg.GetLastChecksum())
	if err != nil {
		return question{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	highest, err := believable(msg.GetLastEpoch())
	if err != nil {
		return question{}, err
	}
	return question{session: id, prompt: msg.GetPrompt(), last: last, epoch: epoch, seen: highest,
		passed: h.Get(wire.HeaderForwarded) != ""}, nil
}

// wait returns after d of the clock's time, or ctx's error if that ends first. Nothing to wait for is never an error.
func wait(ctx context.Context, clock clockwork.Clock, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.Chan():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("inference given up: %w", ctx.Err())
	}
}

// cacheStateName is the state as metrics and headers have it: cold, warm or cached.
func cacheStateName(s jarvisv1.CacheState) string {
	switch s {
	case jarvisv1.CacheState_CACHE_STATE_COLD:
		return "cold"
	case jarvisv1.CacheState_CACHE_STATE_WARM:
		return "warm"
	case jarvisv1.CacheState_CACHE_STATE_CACHED:
		return "cached"
	}
	return ""
}
