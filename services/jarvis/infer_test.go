package jarvis_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

func TestTimesOverRPCAreTheStorys(t *testing.T) {
	const sessions = 400
	b := ready(t, func(o *jarvis.Options) { o.Sessions.Max = sessions })
	inside := 0
	for i := range sessions {
		id := session.ID(fmt.Sprintf("session-%d", i))
		first := b.infer(t, id, &jarvisv1.InferRequest{}).GetCompute().AsDuration()
		if first >= 850*time.Millisecond && first <= 900*time.Millisecond {
			inside++
		}
		require.InDelta(t, 875, first.Milliseconds(), 40)
		require.InDelta(t, 100, b.infer(t, id, &jarvisv1.InferRequest{}).GetCompute().AsDuration().Milliseconds(), 16)
	}
	require.Greater(t, float64(inside)/sessions, 0.9, "share of cold requests within 850 to 900 ms")
}

func TestEveryAnswerSaysWhoServedIt(t *testing.T) {
	b := ready(t, nil)
	first := b.infer(t, "a", &jarvisv1.InferRequest{Prompt: "hello"})
	second := b.infer(t, "a", &jarvisv1.InferRequest{Prompt: "hello"})

	one := state.Point{Turn: 1, Checksum: state.Checksum(0).Next(1, "hello")}
	two := state.Point{Turn: 2, Checksum: one.Checksum.Next(2, "hello")}
	want := &jarvisv1.Served{Pod: "jarvis-1", Address: "10.0.0.1:8080", Incarnation: "incarnation-1", Session: "a",
		Turn: 1, Checksum: one.Text(), State: cold}
	require.Empty(t, cmp.Diff(want, first.GetServed(), protocmp.Transform()))
	want.Turn, want.Checksum, want.PreviousChecksum, want.State = 2, two.Text(), one.Text(), cached
	require.Empty(t, cmp.Diff(want, second.GetServed(), protocmp.Transform()))
	require.Equal(t, first.GetText(), second.GetText())
	require.Zero(t, second.GetCompute().AsDuration(), "a cached answer is immediate")
}

// What a load balancer that ignores the session does to it; the next test is its opposite.
func TestASessionSpreadOverPodsIsColdAtEachAndLosesItsState(t *testing.T) {
	pods := []*bench{ready(t, nil), ready(t, nil)}
	last := &jarvisv1.InferRequest{}
	for i := range 4 {
		served := pods[i%2].infer(t, "a", last).GetServed()
		require.Equal(t, cold, served.GetState(), "request %d", i)
		require.EqualValues(t, 1, served.GetTurn(), "request %d", i)
		// What another pod would answer to another prompt: no two pods' conversations are the same.
		last = &jarvisv1.InferRequest{Prompt: strconv.Itoa(i), LastTurn: served.GetTurn(), LastChecksum: served.GetChecksum()}
	}
}

func TestASessionThatStaysIsWarmAndKeepsItsState(t *testing.T) {
	b := ready(t, nil)
	last := &jarvisv1.InferRequest{}
	for i := range 4 {
		served := b.infer(t, "a", last).GetServed()
		require.Equal(t, i == 0, served.GetState() == cold)
		require.EqualValues(t, i+1, served.GetTurn())
		require.Equal(t, last.GetLastChecksum(), served.GetPreviousChecksum())
		last = &jarvisv1.InferRequest{Prompt: strconv.Itoa(i), LastTurn: served.GetTurn(), LastChecksum: served.GetChecksum()}
	}
}

func TestConcurrentFirstRequestsLoadOnce(t *testing.T) {
	const callers = 20
	clock := clockwork.NewFakeClock()
	b := ready(t, withClock(clock))
	replies := make(chan *jarvisv1.InferResponse, callers)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() { replies <- b.infer(t, "a", &jarvisv1.InferRequest{}) })
	}
	require.NoError(t, clock.BlockUntilContext(t.Context(), callers))
	clock.Advance(time.Second)
	wg.Wait()
	close(replies)

	found, turns := map[jarvisv1.CacheState]int{}, map[uint64]bool{}
	for reply := range replies {
		found[reply.GetServed().GetState()]++
		turns[reply.GetServed().GetTurn()] = true
	}
	require.Equal(t, map[jarvisv1.CacheState]int{cold: 1, warm: callers - 1}, found)
	require.Len(t, turns, callers, "each answer has a turn of its own")
}

func TestASessionThatLoadsHoldsUpNoOther(t *testing.T) {
	clock := clockwork.NewFakeClock()
	b := ready(t, withClock(clock))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.infer(t, "slow", &jarvisv1.InferRequest{Prompt: "x"})
	}()
	require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
	clock.Advance(time.Second)
	<-done

	slow := make(chan struct{})
	go func() {
		defer close(slow)
		b.infer(t, "loading", &jarvisv1.InferRequest{})
	}()
	require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
	require.Equal(t, cached, b.infer(t, "slow", &jarvisv1.InferRequest{Prompt: "x"}).GetServed().GetState())
	clock.Advance(time.Second)
	<-slow
}

func TestACallerWhoGivesUpLeavesNoTurn(t *testing.T) {
	clock := clockwork.NewFakeClock()
	b := ready(t, withClock(clock))
	ctx, cancel := context.WithCancel(as(t, "a"))
	gone := make(chan error, 1)
	go func() {
		_, err := b.rpc.Infer(ctx, connect.NewRequest(&jarvisv1.InferRequest{}))
		gone <- err
	}()
	require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
	cancel()
	require.Equal(t, connect.CodeCanceled, connect.CodeOf(<-gone))
	require.Eventually(t, func() bool { return clock.BlockUntilContext(canceled(), 1) != nil }, 10*time.Second, time.Millisecond,
		"the pod has noticed")

	clock.Advance(time.Second) // the load went on
	stayed := make(chan *jarvisv1.InferResponse, 1)
	go func() { stayed <- b.infer(t, "a", &jarvisv1.InferRequest{}) }()
	require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
	clock.Advance(200 * time.Millisecond)
	served := (<-stayed).GetServed()
	require.Equal(t, warm, served.GetState())
	require.EqualValues(t, 1, served.GetTurn())
}

// canceled makes BlockUntilContext a question: with it, an error means that fewer are waiting.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestOverFullSessionsAreRefusedOnlyWhileAllAreOnACall(t *testing.T) {
	b := ready(t, func(o *jarvis.Options) { o.Sessions.Max = 2 })
	b.offer(t, "a")
	b.offer(t, "b")
	_, err := b.rpc.Infer(as(t, "c"), connect.NewRequest(&jarvisv1.InferRequest{}))
	require.Nil(t, requireCode(t, connect.CodeResourceExhausted, wire.CodePodFull, err))
	var rpc *connect.Error
	require.ErrorAs(t, err, &rpc)
	require.Equal(t, "1", rpc.Meta().Get(wire.HeaderRetryAfter))

	reply := b.plain(t, "GET", wire.PathInference, "", session.Header, "c")
	require.Equal(t, wire.CodePodFull, reply.problem(t).Code)
	require.Equal(t, 429, reply.StatusCode)
	require.Equal(t, "1", reply.Header.Get(wire.HeaderRetryAfter))

	_, err = b.rpc.Hangup(as(t, "a"), connect.NewRequest(&jarvisv1.HangupRequest{}))
	require.NoError(t, err)
	b.infer(t, "c", &jarvisv1.InferRequest{})
}

func TestAnOlderEpochIsRefusedAndNamesTheOwner(t *testing.T) {
	b := ready(t, nil)
	res, err := b.inferAt(t, "a", "7")
	require.NoError(t, err)
	require.EqualValues(t, 7, res.GetServed().GetEpoch())

	_, err = b.inferAt(t, "a", "6")
	moved := requireCode(t, connect.CodeFailedPrecondition, wire.CodeOwnerMoved, err)
	require.Empty(t, cmp.Diff(&jarvisv1.CallNotHeld{Epoch: 7}, moved, protocmp.Transform()))

	b.Supersede("a", "jarvis-9", 8)
	_, err = b.inferAt(t, "a", "7")
	moved = requireCode(t, connect.CodeFailedPrecondition, wire.CodeOwnerMoved, err)
	require.Empty(t, cmp.Diff(&jarvisv1.CallNotHeld{Epoch: 8, Owner: "jarvis-9"}, moved, protocmp.Transform()))

	reply := b.plain(t, "GET", wire.PathInference, "", session.Header, "a", wire.HeaderEpoch, "7")
	require.Equal(t, 409, reply.StatusCode)
	problem := reply.problem(t)
	require.Equal(t, wire.CodeOwnerMoved, problem.Code)
	require.Equal(t, "jarvis-9", problem.Owner)
	require.EqualValues(t, 8, problem.Epoch)

	_, err = b.inferAt(t, "a", "")
	require.NoError(t, err, "without an epoch nothing is fenced")
	_, err = b.inferAt(t, "a", "9")
	require.NoError(t, err)
	_, err = b.inferAt(t, "a", "nine")
	requireCode(t, connect.CodeInvalidArgument, wire.CodeBadRequest, err)
	require.EqualValues(t, 3, b.metric(t, "jarvis_fences_refused_total"))
}

func TestRequestsWaitForTheWeights(t *testing.T) {
	b := start(t, func(o *jarvis.Options) { o.WeightsMB = 1 })
	require.ErrorIs(t, b.Ready(), jarvis.ErrStarting)
	require.Equal(t, jarvisv1.PodState_POD_STATE_STARTING, b.State())

	ctx, cancel := context.WithTimeout(as(t, "a"), 50*time.Millisecond)
	defer cancel()
	_, err := b.rpc.Infer(ctx, connect.NewRequest(&jarvisv1.InferRequest{}))
	require.Equal(t, connect.CodeDeadlineExceeded, connect.CodeOf(err))

	require.NoError(t, b.Load(t.Context()))
	require.NoError(t, b.Ready())
	require.Equal(t, jarvisv1.PodState_POD_STATE_READY, b.State())
	b.infer(t, "a", &jarvisv1.InferRequest{})
}

func TestLoadGivesUpWithItsContext(t *testing.T) {
	b := start(t, func(o *jarvis.Options) { o.WeightsMB = 1 })
	require.ErrorIs(t, b.Load(canceled()), context.Canceled)
	require.ErrorIs(t, b.Ready(), jarvis.ErrStarting)
}

func TestAMalformedLastPointIsABadRequest(t *testing.T) {
	b := ready(t, nil)
	_, err := b.rpc.Infer(as(t, "a"), connect.NewRequest(&jarvisv1.InferRequest{LastTurn: 3}))
	requireCode(t, connect.CodeInvalidArgument, wire.CodeBadRequest, err)
}

func BenchmarkInferOverRPC(b *testing.B) {
	pod := ready(b, func(o *jarvis.Options) {
		o.Model, o.Clock, o.Sessions.Max = instantModel(), clockwork.NewRealClock(), 1000
	})
	ctx := as(b, "a")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := pod.rpc.Infer(ctx, connect.NewRequest(&jarvisv1.InferRequest{})); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkInferOverPlainHTTP(b *testing.B) {
	pod := ready(b, func(o *jarvis.Options) {
		o.Model, o.Clock, o.Sessions.Max = instantModel(), clockwork.NewRealClock(), 1000
	})
	b.ReportAllocs()
	for b.Loop() {
		pod.plain(b, "GET", wire.PathInference, "", session.Header, "a")
	}
}
