package jarvis_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

const drainTimeout = 10 * time.Second

// drain drains in the background, and returns once it has begun; done is closed at its end.
func (b *bench) drain(t *testing.T) (done <-chan struct{}) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.Drain(t.Context(), drainTimeout)
	}()
	require.Eventually(t, func() bool { return b.State() == jarvisv1.PodState_POD_STATE_DRAINING }, 10*time.Second, time.Millisecond)
	return ended
}

func isOpen(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}

func TestWithoutCallsADrainIsOver(t *testing.T) {
	b := ready(t, nil)
	b.infer(t, "a", &jarvisv1.InferRequest{})
	b.Drain(t.Context(), drainTimeout)
	require.NoError(t, b.Ready(), "a pod that drains stays ready")
}

func TestADrainingPodKeepsWhatItHasAndTakesNothingNew(t *testing.T) {
	clock := clockwork.NewFakeClock()
	b := ready(t, withClock(clock))
	infer := func(id session.ID) error { // while the clock moves
		done := make(chan error, 1)
		go func() {
			_, err := b.rpc.Infer(as(t, id), connect.NewRequest(&jarvisv1.InferRequest{Prompt: "x"}))
			done <- err
		}()
		require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
		clock.Advance(time.Second)
		return <-done
	}
	require.NoError(t, infer("known"))
	b.offer(t, "called")
	done := b.drain(t)

	_, err := b.rpc.Infer(as(t, "new"), connect.NewRequest(&jarvisv1.InferRequest{}))
	require.Nil(t, requireCode(t, connect.CodeUnavailable, wire.CodeDraining, err))
	reply := b.plain(t, "GET", wire.PathInference, "", session.Header, "new")
	require.Equal(t, 503, reply.StatusCode)
	require.Equal(t, wire.CodeDraining, reply.problem(t).Code)
	for _, id := range []session.ID{"known", "called"} {
		_, err = b.rpc.Offer(as(t, id), connect.NewRequest(&jarvisv1.OfferRequest{Sdp: "offer"}))
		requireCode(t, connect.CodeUnavailable, wire.CodeDraining, err)
	}

	_, err = b.rpc.Infer(as(t, "known"), connect.NewRequest(&jarvisv1.InferRequest{Prompt: "x"}))
	require.NoError(t, err)
	status, err := b.rpc.Status(t.Context(), connect.NewRequest(&jarvisv1.StatusRequest{}))
	require.NoError(t, err)
	require.Equal(t, jarvisv1.PodState_POD_STATE_DRAINING, status.Msg.GetState())
	require.True(t, isOpen(done))

	_, err = b.rpc.Hangup(as(t, "called"), connect.NewRequest(&jarvisv1.HangupRequest{}))
	require.NoError(t, err)
	<-done
	require.Contains(t, b.log.String(), "drained")
	require.NotContains(t, b.log.String(), "ran out of time")
}

func TestADrainCountsDownAndNamesWhatItCuts(t *testing.T) {
	clock := clockwork.NewFakeClock()
	b := ready(t, withClock(clock))
	b.offer(t, "on-and-on")
	require.Nil(t, b.Status(false).GetDrain(), "it does not drain yet")
	done := b.drain(t)
	require.NoError(t, clock.BlockUntilContext(t.Context(), 2)) // its timer and its ticker
	clock.Advance(drainTimeout - time.Second)
	require.Equal(t, time.Second, b.calls.remaining())
	left := b.Status(false).GetDrain()
	require.Equal(t, time.Second, left.GetRemaining().AsDuration())
	require.EqualValues(t, 1, left.GetCalls())
	require.EqualValues(t, 1, left.GetSessions())
	require.Eventually(t, func() bool { return b.logged("calls=1 left=1s") }, 10*time.Second, time.Millisecond)
	require.True(t, isOpen(done))

	clock.Advance(time.Second)
	<-done
	require.Zero(t, b.calls.remaining())
	require.True(t, b.logged("ran out of time"))
	require.True(t, b.logged("calls_cut=[on-and-on]"))
	require.True(t, b.logged("session=on-and-on"), "by itself, with the reason")
	require.True(t, b.logged("hands no sessions over"))
	require.NoError(t, b.Close(t.Context()))
	require.True(t, b.calls.closed)
}

func TestADrainWaitsForOffersThatWereLetIn(t *testing.T) {
	b := ready(t, withClock(clockwork.NewFakeClock()))
	b.offer(t, "a")
	b.calls.offering = make(chan struct{})
	answered := make(chan error, 1)
	go func() {
		_, err := b.rpc.Offer(as(t, "b"), connect.NewRequest(&jarvisv1.OfferRequest{Sdp: "offer"}))
		answered <- err
	}()
	require.Eventually(t, func() bool { return b.Status(false).GetSessions() == 2 }, 10*time.Second, time.Millisecond)
	done := b.drain(t)
	_, err := b.rpc.Hangup(as(t, "a"), connect.NewRequest(&jarvisv1.HangupRequest{}))
	require.NoError(t, err)
	require.True(t, isOpen(done), "no call, but an offer that will be one")
	b.calls.offering <- struct{}{}
	require.NoError(t, <-answered)
	require.True(t, isOpen(done))
	_, err = b.rpc.Hangup(as(t, "b"), connect.NewRequest(&jarvisv1.HangupRequest{}))
	require.NoError(t, err)
	<-done
}

func TestADrainEndsWithItsContext(t *testing.T) {
	b := ready(t, withClock(clockwork.NewFakeClock()))
	b.offer(t, "a")
	b.Drain(canceled(), drainTimeout)
	require.True(t, b.logged("given up"))
}

func TestStateChangesAreTold(t *testing.T) {
	b := start(t, nil)
	states := []jarvisv1.PodState{}
	b.OnState(func() { states = append(states, b.State()) })
	require.NoError(t, b.Load(t.Context()))
	b.Drain(t.Context(), drainTimeout)
	require.Equal(t, []jarvisv1.PodState{jarvisv1.PodState_POD_STATE_READY, jarvisv1.PodState_POD_STATE_DRAINING}, states)
}
