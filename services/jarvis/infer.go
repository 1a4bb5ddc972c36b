package jarvis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jonboulle/clockwork"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
)

// question is a request for an answer, from RPC, plain HTTP or a caller's speech.
type question struct {
	// session is empty where lenient mode let a request pass without one.
	session session.ID
	prompt  string
	last    state.Point
	epoch   uint64
	// fresh computes also what was answered before.
	fresh bool
}

type reply struct {
	text    string
	served  *jarvisv1.Served
	compute time.Duration
}

// infer answers a question, and counts and traces it.
func (p *Pod) infer(ctx context.Context, q question) (reply, error) {
	ctx, span := p.tracer.Start(ctx, "jarvis.infer")
	defer span.End()
	start := p.clock.Now()
	r, err := p.answer(ctx, q)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return reply{}, err
	}
	r.compute = p.clock.Since(start)
	found := cacheStateName(r.served.State)
	p.metrics.inferred(found, r.compute)
	span.SetAttributes(attribute.String("jarvis.state", found), attribute.String("jarvis.pod", p.identity.Name))
	return r, nil
}

func (p *Pod) answer(ctx context.Context, q question) (reply, error) {
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
	answered := inference.Finish()

	served := p.served(q.session)
	served.State = inference.State
	served.Turn, served.Checksum, served.PreviousChecksum = answered.Turn, answered.Text(), answered.Previous.Text()
	return reply{text: inference.Text, served: served}, nil
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

// inferAloud is infer and speak, as asked for over RPC or HTTP.
func (p *Pod) inferAloud(ctx context.Context, q question) (*jarvisv1.InferResponse, error) {
	r, err := p.infer(ctx, q)
	if err != nil {
		return nil, err
	}
	return inferResponse(r, p.speak(q, r)), nil
}

// ask reads the parts of a request that RPC and plain HTTP share.
func ask(id session.ID, epochHeader string, msg *jarvisv1.InferRequest) (question, error) {
	epoch, err := parseEpoch(epochHeader)
	if err != nil {
		return question{}, err
	}
	last, err := state.ParsePoint(msg.GetLastTurn(), msg.GetLastChecksum())
	if err != nil {
		return question{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return question{session: id, prompt: msg.GetPrompt(), last: last, epoch: epoch}, nil
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
