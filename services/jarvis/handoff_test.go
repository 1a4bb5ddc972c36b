package jarvis_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// sliceTime is what a pod loads for a session whose cache came with it.
const sliceTime = 500 * time.Millisecond

// team is some pods that hand sessions to one another. Each is told of the endpoints when the test says so.
type team struct {
	*testing.T
	pods []*mate
	// clock is the pods'; fake, where set, is what it goes by.
	clock clockwork.Clock
	fake  *clockwork.FakeClock
	*network
	// onWay, where set, is told of what goes from pod to pod; set it while nothing does.
	onWay func(*http.Request)
	// change, where set, has the last word on a pod's options and on those of its handoff.
	change func(*mate, *jarvis.Options, *handoff.Options)
}

// watched is a link that tells the team's onWay first.
type watched struct {
	link
	team *team
}

func (w watched) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.team.onWay != nil {
		w.team.onWay(r)
	}
	return w.link.RoundTrip(r)
}

// mate is a pod behind a real listener.
type mate struct {
	*bench
	name, address, incarnation string
	rings                      *handoff.Rings
	hands                      *handoff.Handoff
	// through, where set, stands before the pod's handler.
	through func(http.Handler) http.Handler
	dead    atomic.Bool
}

// newTeam starts pods that are not in any endpoints yet. For them time only passes as they wait.
func newTeam(t *testing.T, n int) *team {
	t.Helper()
	clock := clockwork.NewFakeClock()
	c := &team{T: t, clock: shortJumps{clock}, fake: clock, network: newNetwork()}
	t.Cleanup(c.close)
	for i := range n {
		name := fmt.Sprintf("jarvis-%d", i+1)
		c.pods = append(c.pods, c.start(&mate{name: name, incarnation: "incarnation of " + name}))
	}
	return c
}

// start starts a pod, at a port of its own where it names no address.
func (c *team) start(m *mate) *mate {
	c.Helper()
	listener, err := net.Listen("tcp", cmp.Or(m.address, "127.0.0.1:0"))
	require.NoError(c, err)
	return c.startAt(listener, m)
}

func (c *team) startAt(listener net.Listener, m *mate) *mate {
	c.Helper()
	m.address = listener.Addr().String()
	var err error
	m.rings, err = handoff.NewRings(m.address, affinity.PolicyRing, affinity.Options{}, c.clock)
	require.NoError(c, err)
	through := func(h http.Handler) http.Handler { return h }
	if m.through != nil {
		through = m.through
	}
	m.bench = serveThrough(c.T, listener, through, func(o *jarvis.Options) {
		o.Identity = jarvis.Identity{Name: m.name, Address: m.address, Incarnation: m.incarnation}
		o.Sessions.Max, o.MaxCalls, o.Clock = 100, 100, c.clock
		hands := handoff.Options{
			Self:  handoff.Self{Name: m.name, Address: m.address, Incarnation: m.incarnation},
			Rings: m.rings, HTTP: &http.Client{Transport: watched{link{network: c.network, from: m.address, dead: m.dead.Load}, c}},
			Clients: []connect.ClientOption{connect.WithAcceptCompression("gzip", nil, nil), connect.WithInterceptors(session.Interceptor(session.Lenient))},
			Metrics: handoff.NewMetrics(o.Registry), Clock: c.clock, Log: slog.New(slog.DiscardHandler),
		}
		if c.change != nil {
			c.change(m, o, &hands)
		}
		o.NewHandoff = func(store *state.Store, calls handoff.Calls, leaving func() bool) *handoff.Handoff {
			hands.Store, hands.Calls, hands.Leaving = store, calls, leaving
			m.hands = handoff.New(hands)
			return m.hands
		}
	})
	m.calls.limit = 100
	require.NoError(c, m.Load(c.Context()))
	return m
}

// set is a version of the endpoints.
func set(pods ...*mate) endpoints.Set {
	var s endpoints.Set
	for _, m := range pods {
		s.Endpoints = append(s.Endpoints, endpoints.Endpoint{Pod: m.name, Address: m.address, Health: endpoints.Healthy})
	}
	return s
}

// lists has every pod know these endpoints.
func (c *team) lists(s endpoints.Set) {
	c.Helper()
	for _, m := range c.pods {
		require.NoError(c, m.rings.Update(s))
	}
}

// prepare has the pods get ready for endpoints.
func (c *team) prepare(next endpoints.Set, pods ...*mate) (moving, sent int) {
	c.Helper()
	for _, m := range pods {
		res, err := m.rpc.Prepare(c.Context(), connect.NewRequest(&jarvisv1.PrepareRequest{Hosts: handoff.Hosts(next.Endpoints)}))
		require.NoError(c, err)
		moving, sent = moving+int(res.Msg.GetMoving()), sent+int(res.Msg.GetSent())
	}
	return moving, sent
}

// owner is the pod that endpoints give a session to.
func (c *team) owner(s endpoints.Set, id session.ID) *mate {
	c.Helper()
	picker, err := affinity.New(affinity.PolicyRing, s.Hosts(), affinity.Options{})
	require.NoError(c, err)
	address := s.Endpoints[picker.Pick(affinity.HashValue(string(id)), 0)].Address
	for _, m := range c.pods {
		if m.address == address {
			return m
		}
	}
	require.FailNow(c, "no such pod")
	return nil
}

// moving is a session that the pod from has, and the pod to once the endpoints change.
func (c *team) moving(before, after endpoints.Set, from, to *mate) session.ID {
	c.Helper()
	for i := range 10_000 {
		id := session.ID(fmt.Sprintf("s-%d", i))
		if c.owner(before, id) == from && c.owner(after, id) == to {
			return id
		}
	}
	require.FailNow(c, "no session moves so")
	return ""
}

// grown is a team of two whose sessions go to a third: the usual case.
func grown(t *testing.T) (c *team, id session.ID, from, to *mate) {
	t.Helper()
	c = newTeam(t, 3)
	before, after := set(c.pods[:2]...), set(c.pods...)
	c.lists(before)
	from, to = c.pods[0], c.pods[2]
	return c, c.moving(before, after, from, to), from, to
}

// count is a value of jarvis_handoffs_total.
func (m *mate) count(t testing.TB, result string) float64 {
	t.Helper()
	return m.counter(t, "jarvis_handoffs_total", result)
}

// counter is a value of a counter with one label.
func (m *mate) counter(t testing.TB, name, label string) float64 {
	t.Helper()
	families, err := m.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, metric := range f.GetMetric() {
			if metric.GetLabel()[0].GetValue() == label {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func (m *mate) forwards(t testing.TB) float64 {
	t.Helper()
	families, err := m.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "jarvis_forwards_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return -1
}

// after is a question of somebody who has seen an answer.
func after(r *jarvisv1.InferResponse) *jarvisv1.InferRequest {
	s := r.GetServed()
	return &jarvisv1.InferRequest{LastTurn: s.GetTurn(), LastChecksum: s.GetChecksum(), LastEpoch: s.GetEpoch()}
}

func TestPreparedSessionsGoOnWarmAtTheirNextOwner(t *testing.T) {
	c := newTeam(t, 3)
	before, after3 := set(c.pods[:2]...), set(c.pods...)
	c.lists(before)
	ids, answers := []session.ID{}, map[session.ID]*jarvisv1.InferResponse{}
	for i := range 40 {
		id := session.ID(fmt.Sprintf("s-%d", i))
		ids = append(ids, id)
		first := c.owner(before, id).infer(t, id, &jarvisv1.InferRequest{})
		require.EqualValues(t, 1, first.GetServed().GetEpoch())
		answers[id] = first
	}
	want := 0
	for _, id := range ids {
		if c.owner(before, id) != c.owner(after3, id) {
			want++
		}
	}
	moving, sent := c.prepare(after3, c.pods[:2]...)
	require.Equal(t, want, moving, "to the bit")
	require.Equal(t, want, sent)
	again, resent := c.prepare(after3, c.pods[:2]...)
	require.Equal(t, []int{want, want}, []int{again, resent})
	require.InDelta(t, want, c.pods[0].count(t, "sent")+c.pods[1].count(t, "sent"), 0, "but nothing is sent twice")

	c.lists(after3)
	for _, id := range ids {
		to := c.owner(after3, id)
		next := to.infer(t, id, after(answers[id]))
		require.Equal(t, warm, next.GetServed().GetState(), id)
		require.Equal(t, to.name, next.GetServed().GetPod())
		require.EqualValues(t, 2, next.GetServed().GetTurn())
		require.Equal(t, answers[id].GetServed().GetChecksum(), next.GetServed().GetPreviousChecksum())
		epoch := uint64(1)
		if to != c.owner(before, id) {
			epoch = 2
		}
		require.Equal(t, epoch, next.GetServed().GetEpoch())
	}
}

func TestASessionThatWentOnIsBroughtUpToDate(t *testing.T) {
	c, id, from, to := grown(t)
	last := from.infer(t, id, &jarvisv1.InferRequest{Prompt: "one"})
	c.prepare(set(c.pods...), from)
	last = from.infer(t, id, after(last))
	last = from.infer(t, id, &jarvisv1.InferRequest{Prompt: "two", LastTurn: last.GetServed().GetTurn(), LastChecksum: last.GetServed().GetChecksum()})
	c.lists(set(c.pods...))
	next := to.infer(t, id, &jarvisv1.InferRequest{Prompt: "two", LastTurn: last.GetServed().GetTurn(), LastChecksum: last.GetServed().GetChecksum()})
	require.EqualValues(t, 4, next.GetServed().GetTurn())
	require.Equal(t, cached, next.GetServed().GetState(), "its latest answer too")
}

func TestWithoutACopyTheFormerOwnerServesUntilThereIsOne(t *testing.T) {
	c, id, from, to := grown(t)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	c.lists(set(c.pods...))

	last = to.infer(t, id, after(last))
	require.Equal(t, from.name, last.GetServed().GetPod())
	require.Equal(t, warm, last.GetServed().GetState())
	require.InDelta(t, 1, to.forwards(t), 0)
	require.InDelta(t, 1, to.count(t, "pulled"), 0)

	c.fake.Advance(sliceTime)
	last = to.infer(t, id, after(last))
	require.Equal(t, to.name, last.GetServed().GetPod())
	require.Equal(t, warm, last.GetServed().GetState())
	require.EqualValues(t, 3, last.GetServed().GetTurn())
	require.EqualValues(t, 2, last.GetServed().GetEpoch())
	require.InDelta(t, 1, to.forwards(t), 0)
}

func TestARequestAtTheOldOwnerIsPassedOnOnce(t *testing.T) {
	c, id, from, to := grown(t)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	c.prepare(set(c.pods...), from)
	require.NoError(t, to.rings.Update(set(c.pods...)))
	last = to.infer(t, id, after(last))
	require.Equal(t, from.name, last.GetServed().GetPod(), "while the pods differ, it stays where it is")
	require.InDelta(t, 1, to.forwards(t), 0)
	c.lists(set(c.pods...))
	last = to.infer(t, id, after(last))
	require.Equal(t, to.name, last.GetServed().GetPod())

	late := from.infer(t, id, after(last))
	require.Equal(t, to.name, late.GetServed().GetPod())
	require.EqualValues(t, last.GetServed().GetTurn()+1, late.GetServed().GetTurn())
	require.InDelta(t, 1, from.forwards(t), 0)
	require.InDelta(t, 1, to.forwards(t), 0, "and no further")

	req := connect.NewRequest(after(last))
	req.Header().Set(wire.HeaderForwarded, "jarvis-2")
	_, err := from.rpc.Infer(as(t, id), req)
	moved := requireCode(t, connect.CodeFailedPrecondition, wire.CodeOwnerMoved, err)
	require.Equal(t, to.name, moved.GetOwner())
}

func TestACallKeepsItsSessionUntilItMoves(t *testing.T) {
	c, id, from, to := grown(t)
	from.offer(t, id)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	c.prepare(set(c.pods...), from)
	c.lists(set(c.pods...))

	last = to.infer(t, id, after(last))
	require.Equal(t, from.name, last.GetServed().GetPod(), "where the answer is heard")
	require.True(t, last.GetServed().GetCallHeld())
	require.True(t, last.GetSpoken())
	_, err := to.rpc.Control(as(t, id), connect.NewRequest(&jarvisv1.ControlRequest{
		Message: &jarvisv1.ControlRequest_Say{Say: &jarvisv1.Say{Text: "hello"}}}))
	require.NoError(t, err)
	require.Equal(t, "hello", from.calls.spoken()[len(from.calls.spoken())-1].Text)

	_, err = to.rpc.Offer(as(t, id), connect.NewRequest(&jarvisv1.OfferRequest{Sdp: "offer", Standby: true}))
	require.NoError(t, err)
	last = to.infer(t, id, after(last))
	require.Equal(t, from.name, last.GetServed().GetPod(), "a call on standby changes nothing")
	require.True(t, to.calls.heard(as(t, id), id))
	require.False(t, from.calls.Holds(id))
	last = from.infer(t, id, after(last))
	require.Equal(t, to.name, last.GetServed().GetPod())
	require.True(t, last.GetServed().GetCallHeld())
	require.EqualValues(t, 2, last.GetServed().GetEpoch())
	require.EqualValues(t, 4, last.GetServed().GetTurn())
}

func TestACallerIsToldWhereToMove(t *testing.T) {
	c, id, from, to := grown(t)
	from.offer(t, id)
	from.infer(t, id, &jarvisv1.InferRequest{})
	c.lists(set(c.pods...))
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { from.MigrateCalls(ctx) })
	require.Eventually(t, func() bool { return len(from.calls.migrated()) > 0 }, 10*time.Second, time.Millisecond)
	stop()
	work.Wait()
	told := from.calls.migrated()[0]
	require.Equal(t, to.name, told.GetPod())
	require.Equal(t, to.address, told.GetAddress())
	require.EqualValues(t, 2, told.GetEpoch())
	kept, err := to.rpc.Status(t.Context(), connect.NewRequest(&jarvisv1.StatusRequest{IncludeSessions: true}))
	require.NoError(t, err)
	require.Equal(t, from.name, kept.Msg.GetSessionList()[0].GetOwner(), "its copy is there before")
}

// waitingClock keeps how long who uses it has waited.
type waitingClock struct {
	clockwork.Clock
	mu    sync.Mutex
	waits []time.Duration
}

func (c *waitingClock) NewTimer(d time.Duration) clockwork.Timer {
	c.mu.Lock()
	c.waits = append(c.waits, d)
	c.mu.Unlock()
	return c.Clock.NewTimer(d)
}

// waited is how long the first n waits took since the last time it was asked.
func (c *waitingClock) waited(n int) (total time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.waits[:n] {
		total += d
	}
	c.waits = nil
	return total
}

// TestCallersAreToldOneAfterAnother: all of them within the time that clients and measurements reckon with, fewer sooner.
func TestCallersAreToldOneAfterAnother(t *testing.T) {
	for calls, most := range map[int]time.Duration{3: time.Second / 4, 60: wire.MigrateWithin} {
		t.Run(fmt.Sprint(calls, " calls"), func(t *testing.T) {
			c := newTeam(t, 2)
			clock := &waitingClock{Clock: c.clock}
			c.change = func(_ *mate, o *jarvis.Options, _ *handoff.Options) { o.Clock = clock }
			from := c.start(&mate{name: "jarvis-3", incarnation: "third"})
			c.pods = append(c.pods, from)
			before, after := set(from), set(c.pods...)
			c.lists(before)
			for i, n := 0, 0; n < calls; i++ {
				id := session.ID(fmt.Sprintf("s-%d", i))
				if c.owner(after, id) == from {
					continue
				}
				n++
				from.offer(t, id)
				from.infer(t, id, &jarvisv1.InferRequest{})
			}
			c.lists(after)
			clock.waited(0)
			ctx, stop := context.WithCancel(t.Context())
			var work sync.WaitGroup
			work.Go(func() { from.MigrateCalls(ctx) })
			require.Eventually(t, func() bool { return len(from.calls.migrated()) >= calls }, 10*time.Second, time.Millisecond)
			stop()
			work.Wait()
			waited := clock.waited(calls)
			require.LessOrEqual(t, waited, most)
			require.Positive(t, waited)
		})
	}
}

func TestANewCallBringsItsSession(t *testing.T) {
	c, id, from, to := grown(t)
	from.offer(t, id)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	c.prepare(set(c.pods...), from)
	c.lists(set(c.pods...))
	to.offer(t, id)
	require.False(t, from.calls.Holds(id))
	last = to.infer(t, id, after(last))
	require.Equal(t, to.name, last.GetServed().GetPod())
	require.EqualValues(t, 2, last.GetServed().GetTurn())
}

func TestAnOwnerThatIsGoneIsReplaced(t *testing.T) {
	c, id, from, to := grown(t)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	c.prepare(set(c.pods...), from)
	c.refuse(from.address, true)
	c.lists(set(c.pods...))
	last = to.infer(t, id, after(last))
	require.Equal(t, to.name, last.GetServed().GetPod())
	require.EqualValues(t, 2, last.GetServed().GetEpoch())
	require.EqualValues(t, 2, last.GetServed().GetTurn(), "from its copy")
	require.InDelta(t, 1, to.count(t, "minted"), 0)
}

func TestAPodThatWasPassedOverGivesWayToTheHigherEpoch(t *testing.T) {
	c, id, from, to := grown(t)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	c.prepare(set(c.pods...), from)
	require.NoError(t, to.rings.Update(set(to))) // it sees none of the others
	last = to.infer(t, id, after(last))
	require.Equal(t, to.name, last.GetServed().GetPod())
	require.EqualValues(t, 2, last.GetServed().GetEpoch())

	c.lists(set(c.pods...))
	last = from.infer(t, id, after(last))
	require.Equal(t, to.name, last.GetServed().GetPod(), "whoever has seen the higher epoch does not get the old one's answers")
	require.EqualValues(t, 3, last.GetServed().GetTurn())
	_ = from.infer(t, id, &jarvisv1.InferRequest{}) // nor does anybody else from now on
	require.InDelta(t, 2, from.forwards(t), 0)
}

func TestASessionIsGivenToOneProcess(t *testing.T) {
	c, id, from, _ := grown(t)
	from.infer(t, id, &jarvisv1.InferRequest{})
	c.lists(set(c.pods...))
	claim := func(incarnation string) (*jarvisv1.ClaimResponse, error) {
		res, err := from.rpc.Claim(as(t, id), connect.NewRequest(&jarvisv1.ClaimRequest{
			Pod: "jarvis-9", Incarnation: incarnation, Want: jarvisv1.Want_WANT_SESSION}))
		if err != nil {
			return nil, err
		}
		return res.Msg, nil
	}
	first, err := claim("a")
	require.NoError(t, err)
	require.Equal(t, "a", first.GetTitle().GetIncarnation())
	again, err := claim("a")
	require.NoError(t, err, "the answer may have been lost")
	require.EqualValues(t, first.GetTitle().GetEpoch(), again.GetTitle().GetEpoch())
	_, err = claim("b")
	requireCode(t, connect.CodeFailedPrecondition, wire.CodeOwnerMoved, err)
}

func TestAGrantThatWasNotTakenYetIsGivenAgain(t *testing.T) {
	c, id, from, to := grown(t)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	c.lists(set(c.pods...))
	// The new owner's claim is answered, and the answer is lost.
	_, err := from.rpc.Claim(as(t, id), connect.NewRequest(&jarvisv1.ClaimRequest{
		Pod: to.name, Incarnation: "incarnation of " + to.name, Want: jarvisv1.Want_WANT_SESSION}))
	require.NoError(t, err)
	last = from.infer(t, id, after(last))
	require.Equal(t, to.name, last.GetServed().GetPod(), "the giver does not take it back")
	require.EqualValues(t, 2, last.GetServed().GetTurn())
	require.EqualValues(t, 2, last.GetServed().GetEpoch())
	require.Zero(t, from.count(t, "minted")+to.count(t, "minted"))
}

func TestConcurrentRequestsClaimOnce(t *testing.T) {
	c, id, from, to := grown(t)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	c.prepare(set(c.pods...), from)
	c.lists(set(c.pods...))
	var wg sync.WaitGroup
	turns := make([]uint64, 30)
	for i := range turns {
		wg.Go(func() {
			res, err := to.rpc.Infer(session.NewContext(context.Background(), id), connect.NewRequest(after(last)))
			if err == nil {
				turns[i] = res.Msg.GetServed().GetTurn()
			}
		})
	}
	wg.Wait()
	seen := map[uint64]bool{}
	for _, turn := range turns {
		require.Greater(t, turn, uint64(1))
		require.False(t, seen[turn], "one conversation")
		seen[turn] = true
	}
	require.InDelta(t, 1, to.count(t, "claimed"), 0)
	require.InDelta(t, 1, from.count(t, "given"), 0)
}

func TestAPodWithoutHandoffRefusesIt(t *testing.T) {
	b := ready(t, nil)
	_, err := b.rpc.Claim(as(t, "s"), connect.NewRequest(&jarvisv1.ClaimRequest{}))
	require.Equal(t, connect.CodeUnimplemented, connect.CodeOf(err))
}

func TestACopyOfAnotherVersionIsRefused(t *testing.T) {
	c := newTeam(t, 1)
	for name, snap := range map[string]*jarvisv1.Snapshot{
		"version":           {Version: 2},
		"points":            {Version: 1, Recent: make([]*jarvisv1.Point, state.MaxPoints+1)},
		"not at its points": {Version: 1, At: &jarvisv1.Point{Turn: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.pods[0].rpc.Handoff(as(t, "s"), connect.NewRequest(&jarvisv1.HandoffRequest{
				Title: &jarvisv1.Title{Epoch: 1, Owner: "jarvis-2", Incarnation: "x"}, Snapshot: snap}))
			requireCode(t, connect.CodeInvalidArgument, wire.CodeBadRequest, err)
		})
	}
}

func TestARedialBringsTheStateOfAPodThatWasNotLost(t *testing.T) {
	c, id, from, _ := grown(t)
	from.offer(t, id)
	last := from.infer(t, id, &jarvisv1.InferRequest{})
	other := c.pods[1]
	_, err := other.rpc.Offer(as(t, id), connect.NewRequest(&jarvisv1.OfferRequest{
		Sdp: "offer", LostPod: from.name, LastEpoch: last.GetServed().GetEpoch()}))
	require.NoError(t, err)
	require.False(t, from.calls.Holds(id))
	next := other.infer(t, id, after(last))
	require.Equal(t, other.name, next.GetServed().GetPod(), "where the call is, whatever the ring says")
	require.EqualValues(t, 2, next.GetServed().GetTurn())
	again := from.infer(t, id, after(next))
	require.Equal(t, other.name, again.GetServed().GetPod())
}
