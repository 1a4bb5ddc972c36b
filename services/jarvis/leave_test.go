package jarvis_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/session"
)

// leaving is a team of two, the first of which has two sessions and then drains: one on a call, and one that is not.
func leaving(t *testing.T) (c *team, from, to *mate, onCall, free session.ID, done <-chan struct{}) {
	t.Helper()
	c = newTeam(t, 2)
	from, to = c.pods[0], c.pods[1]
	c.lists(set(from))
	onCall, free = "on-a-call", "free"
	from.offer(t, onCall)
	for _, id := range []session.ID{onCall, free} {
		from.infer(t, id, &jarvisv1.InferRequest{})
	}
	c.lists(set(from, to))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		from.Drain(t.Context(), time.Minute)
	}()
	return c, from, to, onCall, free, ended
}

func (m *mate) ownsSoon(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return m.hands.Owns() == n }, 10*time.Second, time.Millisecond)
}

func TestALeavingPodHandsOverWhatItHas(t *testing.T) {
	c, id, _, to := grown(t)
	all := set(c.pods...)
	c.lists(all)
	last := to.infer(t, id, &jarvisv1.InferRequest{})
	rest := set(c.pods[:2]...)
	next := c.owner(rest, id)
	to.Drain(t.Context(), time.Minute)
	require.Zero(t, to.hands.Owns())
	c.lists(rest)
	again := next.infer(t, id, after(last))
	require.Equal(t, next.name, again.GetServed().GetPod())
	require.Equal(t, warm, again.GetServed().GetState())
	require.EqualValues(t, 2, again.GetServed().GetTurn())
}

func TestThePodsOfAWholeFleetThatEndsDoNotWaitForOneAnother(t *testing.T) {
	c := newTeam(t, 1)
	c.lists(set(c.pods...))
	c.pods[0].infer(t, "s", &jarvisv1.InferRequest{})
	c.pods[0].Drain(t.Context(), time.Hour)
}

func TestALeavingPodKeepsWhatIsOnACallUntilThatMoves(t *testing.T) {
	c, from, to, onCall, free, done := leaving(t)
	to.ownsSoon(t, 1)
	require.Equal(t, to.name, to.infer(t, free, &jarvisv1.InferRequest{}).GetServed().GetPod())
	for range 3 { // however often it looks
		c.fake.Advance(100 * time.Millisecond)
		require.Equal(t, from.name, to.infer(t, onCall, &jarvisv1.InferRequest{}).GetServed().GetPod(), "where it is heard")
	}
	require.True(t, from.calls.Holds(onCall))
	require.True(t, isOpen(done))

	_, err := to.rpc.Offer(as(t, onCall), connect.NewRequest(&jarvisv1.OfferRequest{Sdp: "offer", Standby: true}))
	require.NoError(t, err)
	require.True(t, to.calls.heard(as(t, onCall), onCall))
	require.Eventually(t, func() bool {
		c.fake.Advance(100 * time.Millisecond)
		return !isOpen(done)
	}, 10*time.Second, time.Millisecond)
	require.Zero(t, from.hands.Owns())
	require.NotContains(t, from.log.String(), "not handed over")
	require.NotContains(t, from.log.String(), "ran out of time")
}

func TestASessionWhoseCallHasEndedFollowsTheOthers(t *testing.T) {
	c, from, to, onCall, _, done := leaving(t)
	to.ownsSoon(t, 1)
	require.NoError(t, from.calls.Hangup(onCall))
	require.Eventually(t, func() bool {
		c.fake.Advance(100 * time.Millisecond)
		return !isOpen(done)
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, 2, to.hands.Owns())
	require.NotContains(t, from.log.String(), "ran out of time")
}

func TestAtItsDeadlineALeavingPodHandsOverWhatIsOnACallToo(t *testing.T) {
	c, from, to, onCall, _, done := leaving(t)
	to.ownsSoon(t, 1)
	require.NoError(t, c.fake.BlockUntilContext(t.Context(), 3)) // its time, its countdown, and its next look
	c.fake.Advance(time.Minute)
	<-done
	require.Zero(t, from.hands.Owns())
	require.Equal(t, 2, to.hands.Owns())
	again := to.infer(t, onCall, &jarvisv1.InferRequest{})
	require.Equal(t, to.name, again.GetServed().GetPod())
	require.EqualValues(t, 2, again.GetServed().GetTurn(), "the call is cut, and the conversation is not")
	require.NotContains(t, from.log.String(), "not handed over")
}

func TestWhatALeavingPodCouldNotHandOverIsNamedWithItsReason(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(c *team, from, to *mate)
		reason  string
	}{
		"there is no other pod":   {func(c *team, from, _ *mate) { c.lists(set(from)) }, "there is no other pod to take it"},
		"the next one is gone":    {func(c *team, _, to *mate) { c.refuse(to.address, true) }, "unreachable"},
		"the next one leaves too": {func(c *team, _, to *mate) { to.Drain(c.Context(), 0) }, "the pod is leaving"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTeam(t, 2)
			from, to := c.pods[0], c.pods[1]
			c.lists(set(from))
			for _, id := range []session.ID{"first", "second"} {
				from.infer(t, id, &jarvisv1.InferRequest{})
			}
			c.lists(set(from, to))
			tc.prepare(c, from, to)
			from.Drain(t.Context(), 2*time.Second)
			require.Equal(t, 2, from.hands.Owns())
			for _, id := range []session.ID{"first", "second"} {
				require.Regexp(t, fmt.Sprintf(`msg="session not handed over" session=%s turn=1 on_call=false reason=.*%s`, id, tc.reason), from.log.String())
			}
		})
	}
}

// TestSessionsOnCallsAreCopiedFirst: they are what somebody listens to.
func TestSessionsOnCallsAreCopiedFirst(t *testing.T) {
	const sessions, called, atOnce = 40, 12, 32 // of those that move
	c := newTeam(t, 2)
	c.lists(set(c.pods[0]))
	next := set(c.pods...)
	onCall, moving := map[session.ID]bool{}, 0
	for i := 0; moving < sessions; i++ {
		id := session.ID(fmt.Sprintf("s-%d", i))
		if c.owner(next, id) != c.pods[1] {
			continue
		}
		c.pods[0].infer(t, id, &jarvisv1.InferRequest{})
		if moving++; moving > 24 && len(onCall) < called {
			c.pods[0].offer(t, id)
			onCall[id] = true
		}
	}
	require.Len(t, onCall, called)
	require.Greater(t, moving, atOnce, "control: not all go at once")

	// Those that start first wait here until there are as many as may be under way.
	var mu sync.Mutex
	var started []session.ID
	full := make(chan struct{})
	c.onWay = func(r *http.Request) {
		if r.URL.Path != jarvisv1connect.JarvisServiceHandoffProcedure {
			return
		}
		mu.Lock()
		started = append(started, session.ID(r.Header.Get(session.Header)))
		if len(started) == atOnce {
			close(full)
		}
		mu.Unlock()
		select {
		case <-full:
		case <-r.Context().Done():
		}
	}
	_, sent := c.prepare(next, c.pods[0])
	require.Equal(t, moving, sent)
	first := map[session.ID]bool{}
	for _, id := range started[:atOnce] {
		first[id] = true
	}
	for id := range onCall {
		require.True(t, first[id], id)
	}
}
