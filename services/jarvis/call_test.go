package jarvis_test

import (
	"context"
	"fmt"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestAnOfferIsAnsweredAndHeld(t *testing.T) {
	b := ready(t, nil)
	res, err := b.rpc.Offer(as(t, "a"), connect.NewRequest(&jarvisv1.OfferRequest{Sdp: "offer"}))
	require.NoError(t, err)
	want := &jarvisv1.OfferResponse{Sdp: "answer to offer", Etag: `"1"`, Served: &jarvisv1.Served{
		Pod: "jarvis-1", Address: "10.0.0.1:8080", Incarnation: "incarnation-1", Session: "a", CallHeld: true}}
	require.Empty(t, cmp.Diff(want, res.Msg, protocmp.Transform()))
}

func TestAnInferenceIsSpokenOnlyWhereTheCallIs(t *testing.T) {
	holder, other := ready(t, nil), ready(t, nil)
	holder.offer(t, "a")

	res := holder.infer(t, "a", &jarvisv1.InferRequest{Prompt: "hello"})
	require.True(t, res.GetSpoken())
	require.True(t, res.GetServed().GetCallHeld())
	require.Equal(t, []said{{"a", res.GetText(), 1}}, holder.calls.spoken())

	res = other.infer(t, "a", &jarvisv1.InferRequest{Prompt: "hello"})
	require.False(t, res.GetSpoken())
	require.False(t, res.GetServed().GetCallHeld())
	require.Equal(t, cold, res.GetServed().GetState())
}

func TestAMutedAgentDoesNotSpeak(t *testing.T) {
	b := ready(t, nil)
	b.offer(t, "a")
	_, err := b.rpc.Control(as(t, "a"), connect.NewRequest(&jarvisv1.ControlRequest{
		Message: &jarvisv1.ControlRequest_Mute{Mute: &jarvisv1.Mute{Muted: true}}}))
	require.NoError(t, err)
	res := b.infer(t, "a", &jarvisv1.InferRequest{})
	require.True(t, res.GetServed().GetCallHeld())
	require.False(t, res.GetSpoken())
}

func TestControlSaysAtTheConversationsTurn(t *testing.T) {
	b := ready(t, nil)
	b.infer(t, "a", &jarvisv1.InferRequest{})
	b.offer(t, "a")
	res, err := b.rpc.Control(as(t, "a"), connect.NewRequest(&jarvisv1.ControlRequest{
		Message: &jarvisv1.ControlRequest_Say{Say: &jarvisv1.Say{Text: "goodbye"}}}))
	require.NoError(t, err)
	require.EqualValues(t, 1, res.Msg.GetServed().GetTurn(), "saying something is no answer")
	require.Equal(t, []said{{"a", "goodbye", 1}}, b.calls.spoken())

	for name, msg := range map[string]*jarvisv1.ControlRequest{
		"nothing to say": {Message: &jarvisv1.ControlRequest_Say{Say: &jarvisv1.Say{}}},
		"no message":     {},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.rpc.Control(as(t, "a"), connect.NewRequest(msg))
			requireCode(t, connect.CodeInvalidArgument, wire.CodeBadRequest, err)
		})
	}
}

func TestSpeechIsAnsweredByAnInferenceThatIsAlwaysNew(t *testing.T) {
	b := ready(t, nil)
	b.offer(t, "a")
	b.infer(t, "a", &jarvisv1.InferRequest{Prompt: "heard 1240 ms of speech"})
	answer, err := b.calls.respond(t.Context(), "a", "heard 1240 ms of speech")
	require.NoError(t, err)
	require.NotEmpty(t, answer.Text)
	require.EqualValues(t, 2, answer.Turn)
	require.EqualValues(t, 1, b.metric(t, "jarvis_inferences_total", "state", "warm"))

	next := b.infer(t, "a", &jarvisv1.InferRequest{LastTurn: answer.Turn, LastChecksum: answer.Checksum})
	require.Equal(t, answer.Checksum, next.GetServed().GetPreviousChecksum())
	require.Len(t, b.calls.spoken(), 2, "the call speaks its own answers")
}

// onCall are the requests that need the call, each as a function that makes it.
func onCall(b *bench) map[string]func(context.Context, string) error {
	return map[string]func(context.Context, string) error{
		"trickle": func(ctx context.Context, epoch string) error {
			req := connect.NewRequest(&jarvisv1.TrickleRequest{SdpFragment: "fragment"})
			req.Header().Set(wire.HeaderEpoch, epoch)
			_, err := b.rpc.Trickle(ctx, req)
			return err
		},
		"hangup": func(ctx context.Context, epoch string) error {
			req := connect.NewRequest(&jarvisv1.HangupRequest{})
			req.Header().Set(wire.HeaderEpoch, epoch)
			_, err := b.rpc.Hangup(ctx, req)
			return err
		},
		"control": func(ctx context.Context, epoch string) error {
			req := connect.NewRequest(&jarvisv1.ControlRequest{Message: &jarvisv1.ControlRequest_Mute{Mute: &jarvisv1.Mute{}}})
			req.Header().Set(wire.HeaderEpoch, epoch)
			_, err := b.rpc.Control(ctx, req)
			return err
		},
		"watch": func(ctx context.Context, epoch string) error {
			req := connect.NewRequest(&jarvisv1.WatchRequest{})
			req.Header().Set(wire.HeaderEpoch, epoch)
			stream, err := b.rpc.Watch(ctx, req)
			if err != nil {
				return err
			}
			stream.Receive()
			return stream.Err()
		},
	}
}

func TestRequestsForACallElsewhereSaySo(t *testing.T) {
	b := ready(t, nil)
	_, err := b.inferAt(t, "a", "4") // the session is here, its call is not
	require.NoError(t, err)
	for name, send := range onCall(b) {
		t.Run(name, func(t *testing.T) {
			moved := requireCode(t, connect.CodeFailedPrecondition, wire.CodeOwnerMoved, send(as(t, "a"), ""))
			require.Empty(t, cmp.Diff(&jarvisv1.CallNotHeld{Epoch: 4}, moved, protocmp.Transform()))
			moved = requireCode(t, connect.CodeFailedPrecondition, wire.CodeOwnerMoved, send(as(t, "never-seen"), ""))
			require.Empty(t, cmp.Diff(&jarvisv1.CallNotHeld{}, moved, protocmp.Transform()))
		})
	}
}

func TestRequestsForACallAreFenced(t *testing.T) {
	b := ready(t, nil)
	b.offer(t, "a")
	_, err := b.inferAt(t, "a", "4")
	require.NoError(t, err)
	for name, send := range onCall(b) {
		t.Run(name, func(t *testing.T) {
			moved := requireCode(t, connect.CodeFailedPrecondition, wire.CodeOwnerMoved, send(as(t, "a"), "3"))
			require.Empty(t, cmp.Diff(&jarvisv1.CallNotHeld{Epoch: 4}, moved, protocmp.Transform()))
			requireCode(t, connect.CodeInvalidArgument, wire.CodeBadRequest, send(as(t, "a"), "-1"))
		})
	}
	require.True(t, b.calls.Holds("a"))
}

func TestErrorsOfCallsHaveTheirCodes(t *testing.T) {
	b := ready(t, nil)
	b.offer(t, "a")
	for name, c := range map[string]struct {
		err  error
		code connect.Code
		wire wire.Code
	}{
		"etag":     {fmt.Errorf("x: %w", call.ErrETagMismatch), connect.CodeFailedPrecondition, wire.CodeETagMismatch},
		"fragment": {fmt.Errorf("x: %w", call.ErrBadFragment), connect.CodeInvalidArgument, wire.CodeBadRequest},
		"ended":    {fmt.Errorf("x: %w", call.ErrNotHeld), connect.CodeFailedPrecondition, wire.CodeOwnerMoved},
		"closed":   {fmt.Errorf("x: %w", call.ErrClosed), connect.CodeUnavailable, wire.CodeDraining},
		"unknown":  {fmt.Errorf("disk on fire"), connect.CodeInternal, wire.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			b.calls.trickle = c.err
			moved := requireCode(t, c.code, c.wire, onCall(b)["trickle"](as(t, "a"), ""))
			require.Equal(t, c.wire == wire.CodeOwnerMoved, moved != nil)
		})
	}
	_, err := b.rpc.Offer(as(t, "b"), connect.NewRequest(&jarvisv1.OfferRequest{}))
	requireCode(t, connect.CodeInvalidArgument, wire.CodeBadRequest, err)
}

func TestOffersToAFullPodPushNoSessionOut(t *testing.T) {
	b := ready(t, func(o *jarvis.Options) { o.Sessions.Max = 6 }) // five calls
	b.infer(t, "idle", &jarvisv1.InferRequest{})
	for i := range 5 {
		b.offer(t, session.ID(fmt.Sprint(i)))
	}
	for i := range 10 {
		_, err := b.rpc.Offer(as(t, session.ID(fmt.Sprintf("late-%d", i))), connect.NewRequest(&jarvisv1.OfferRequest{Sdp: "offer"}))
		require.Nil(t, requireCode(t, connect.CodeResourceExhausted, wire.CodePodFull, err))
	}
	b.offer(t, "3") // replacing a call needs no place
	require.Equal(t, warm, b.infer(t, "idle", &jarvisv1.InferRequest{}).GetServed().GetState())
}

func TestASessionIsKeptForAsLongAsItsCall(t *testing.T) {
	b := ready(t, func(o *jarvis.Options) { o.Sessions.Max = 1 })
	b.offer(t, "a")
	b.offer(t, "a")
	b.calls.onEnd("a", call.ReasonReplaced) // told late of the first one
	b.infer(t, "a", &jarvisv1.InferRequest{})
	_, err := b.rpc.Infer(as(t, "b"), connect.NewRequest(&jarvisv1.InferRequest{}))
	requireCode(t, connect.CodeResourceExhausted, wire.CodePodFull, err)

	_, err = b.rpc.Hangup(as(t, "a"), connect.NewRequest(&jarvisv1.HangupRequest{}))
	require.NoError(t, err)
	b.infer(t, "b", &jarvisv1.InferRequest{})
	require.Equal(t, cold, b.infer(t, "a", &jarvisv1.InferRequest{}).GetServed().GetState())
}

func TestWatchOpensWithThePodAndEndsWithTheCall(t *testing.T) {
	b := ready(t, nil)
	b.offer(t, "a")
	stream, err := b.rpc.Watch(as(t, "a"), connect.NewRequest(&jarvisv1.WatchRequest{}))
	require.NoError(t, err)
	require.True(t, stream.Receive(), stream.Err())
	require.Empty(t, cmp.Diff(&jarvisv1.Served{Pod: "jarvis-1", Address: "10.0.0.1:8080", Incarnation: "incarnation-1",
		Session: "a", CallHeld: true}, stream.Msg().GetPod().GetServed(), protocmp.Transform()))

	_, err = b.rpc.Hangup(as(t, "a"), connect.NewRequest(&jarvisv1.HangupRequest{}))
	require.NoError(t, err)
	require.True(t, stream.Receive(), stream.Err())
	require.Equal(t, call.ReasonHangup, stream.Msg().GetEnded().GetReason())
	require.False(t, stream.Receive())
	require.NoError(t, stream.Err())
	require.NoError(t, stream.Close())
}
