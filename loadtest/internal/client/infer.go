package client

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
)

// Infer asks once and records what came. intended is when it was to be sent.
func (c *Caller) Infer(ctx context.Context, intended time.Duration) {
	first := !c.ledger.answered()
	seq, at := c.ledger.next()
	call := c.current()
	timed, cancel := context.WithTimeout(ctx, c.cfg.Timeouts.Request)
	defer cancel()

	record := tally.Inference{Call: c.cfg.Call, Intended: intended, Sent: c.now(), First: first}
	reply, err := c.edge.infer(timed, &smaranv1.InferRequest{
		Prompt: "question " + strconv.FormatUint(seq, 10), LastTurn: at.Turn, LastChecksum: at.Checksum, LastEpoch: at.Epoch,
	})
	record.Done = c.now()
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, ErrCutOff) {
			return
		} else if cause != nil {
			err = cause
		}
		record.Error = Code(err)
		record.Misrouted = call != nil && ownerMoved(err)
		c.cfg.Recorder.Inference(record)
		if record.Misrouted {
			c.misrouted(call)
		}
		return
	}
	served := reply.GetServed()
	record.State, record.Pod, record.Address = stateOf(served), served.GetPod(), served.GetAddress()
	record.Route = reply.GetRouting().GetDecision().AsDuration()
	v := Judge(at, call != nil && call == c.current(), reply)
	record.Misrouted = v.Misroute
	c.cfg.Recorder.Inference(record)

	c.cfg.Log.Debug("answer", "call", c.cfg.Call, "seq", seq, "asked", at.Turn, "pod", served.GetPod(), "turn", served.GetTurn(),
		"state", served.GetState(), "held", served.GetCallHeld(), "spoken", reply.GetSpoken())

	c.ledger.adopt(seq, Point{Turn: served.GetTurn(), Checksum: served.GetChecksum(), Epoch: served.GetEpoch()})
	if v.StateLost && c.ledger.lost(seq) {
		c.happened(tally.StateLost)
		// Also between two calls: what the caller was on is gone.
		if last := c.latestCall(); last != nil && last.firstStateLoss() {
			c.happened(tally.DroppedStateLost)
		}
	}
	if v.Unspoken && c.cfg.OnMisroute == Stay { // who redials counts as renegotiated instead
		c.happened(tally.Unspoken)
	}
	if v.Misroute {
		c.misrouted(call)
	}
}

func stateOf(s *jarvisv1.Served) tally.State {
	switch s.GetState() {
	case jarvisv1.CacheState_CACHE_STATE_COLD:
		return tally.Cold
	case jarvisv1.CacheState_CACHE_STATE_CACHED:
		return tally.Cached
	default:
		return tally.Warm
	}
}
