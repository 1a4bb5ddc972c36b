package jarvis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/jarvis/internal/history"
	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/session"
)

// brief is the story at a hundredth of its length, so that an episode sees many loads.
var brief = model.Timings{SliceLoad: 5 * time.Millisecond, CacheRebuildMin: 2 * time.Millisecond, CacheRebuildMax: 3 * time.Millisecond,
	InferenceMean: time.Millisecond, InferenceSigma: 0.03}

const (
	// asksAgain is how often every pod is asked in the end until it answers, with pace in between.
	asksAgain = 100
	pace      = 15 * time.Millisecond
)

// episode is one storm over one team, with callers who go on asking.
type episode struct {
	*team
	*history.Recorder
	storm storm
	redis *miniredis.Miniredis
	// work is what has been begun and ends by itself.
	work sync.WaitGroup

	mu sync.Mutex
	// live are the pods whose process runs, at those that ever had an address, listed the endpoints.
	live   []*mate
	at     map[string]*mate
	listed []listing
	begun  int
	// processes is how many have been started.
	processes uint64
	// going are the pods that leave, or are killed.
	going map[*mate]bool
	// mesh is what the mesh knows of the endpoints. Nobody goes back to a version before the one that it knows.
	mesh    endpoints.Set
	version int
	known   map[any]int
	stores  map[*mate]*store
	// minted are the sessions that pods took by their own word and said so.
	minted float64
}

// listing is a pod as the endpoints have it.
type listing struct {
	*mate
	out bool
}

// run goes through a storm.
func (s storm) run(t *testing.T) *episode {
	e := &episode{storm: s, Recorder: history.NewRecorder(), at: map[string]*mate{}, known: map[any]int{}, stores: map[*mate]*store{}, going: map[*mate]bool{},
		team: &team{T: t, clock: clockwork.NewRealClock(), network: newNetwork()}}
	t.Cleanup(e.close)
	if s.archive {
		e.redis = miniredis.RunT(t)
	}
	e.change = e.instrument
	e.weather()
	for range s.pods {
		m := e.begin()
		require.NotNil(t, m)
		e.listed = append(e.listed, listing{mate: m})
	}
	e.mesh = endpointsOf(e.listed)
	for _, m := range e.live {
		require.NoError(t, m.rings.Update(e.mesh))
	}

	callers := e.callers()
	for _, c := range callers { // no session begins while endpoints differ: nobody could tell who has it
		require.Eventually(t, func() bool { return c.ask(t.Context(), e.byMesh(c.session)) }, 10*time.Second, time.Millisecond)
	}
	ctx, over := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for _, c := range callers {
		asking.Go(func() { e.keepAsking(ctx, c) })
	}
	for _, step := range s.steps {
		pause(ctx, step.after)
		e.act(step)
	}
	e.work.Wait()
	over()
	asking.Wait()
	e.settle()
	e.audit(callers)
	return e
}

// weather has messages take their time, and exchanges between pods come twice.
func (e *episode) weather() {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(e.storm.seed, 1))
	e.delay = func(string, string) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		most := e.storm.delay
		if rng.IntN(50) == 0 {
			most = max(most, e.storm.straggle)
		}
		return time.Duration(rng.Int64N(int64(most) + 1))
	}
	e.again = func(path string) bool {
		mu.Lock()
		defer mu.Unlock()
		exchange := path == jarvisv1connect.JarvisServiceClaimProcedure || path == jarvisv1connect.JarvisServiceHandoffProcedure
		return exchange && !e.storm.calm && rng.IntN(20) == 0
	}
}

// instrument has a pod tell what it does.
func (e *episode) instrument(m *mate, o *jarvis.Options, hands *handoff.Options) {
	t := tap{Recorder: e.Recorder, pod: m}
	o.Model = model.New(brief, e.storm.seed)
	o.Sessions.OnDropped = t.dropped
	hands.HTTP = &http.Client{Transport: t.behind(hands.HTTP.(*http.Client).Transport)}
	if kept := e.stores[m]; kept != nil {
		hands.Archive = kept.archive
	}
}

// begin starts a pod of a new name.
func (e *episode) begin() *mate {
	e.begun++
	return e.beginAt("127.0.0.1:0", fmt.Sprintf("jarvis-%d", e.begun))
}

// beginAt starts a process, unless somebody else has its port.
func (e *episode) beginAt(address, name string) *mate {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.processes++
	// As of real ones, later incarnations are not higher ones.
	lot := rand.New(rand.NewPCG(e.storm.seed, 1000+e.processes)).Uint32()
	m := &mate{name: name, incarnation: fmt.Sprintf("%08x-of-%s", lot, name)}
	m.through = tap{Recorder: e.Recorder, pod: m}.before
	if e.redis != nil {
		e.stores[m] = newStore(e.redis.Addr())
	}
	e.startAt(listener, m)
	if kept := e.stores[m]; kept != nil {
		kept.keep(m)
		e.Cleanup(kept.close)
	}
	e.live = append(e.live, m)
	e.at[m.address] = m
	return m
}

// end ends a process with all that it has. One that was killed writes nothing more.
func (e *episode) end(m *mate, killed bool) {
	m.dead.Store(true)
	e.refuse(m.address, true)
	minted := m.count(e.T, "minted") + m.count(e.T, "restored")
	e.mu.Lock()
	e.live = slices.DeleteFunc(e.live, func(other *mate) bool { return other == m })
	kept := e.stores[m]
	e.minted += minted
	e.mu.Unlock()
	m.stop()
	if kept != nil {
		kept.away.Store(killed)
		kept.close()
	}
}

func endpointsOf(listed []listing) endpoints.Set {
	var s endpoints.Set
	for _, l := range listed {
		health := endpoints.Healthy
		if l.out {
			health = endpoints.Draining
		}
		s.Endpoints = append(s.Endpoints, endpoints.Endpoint{Pod: l.name, Address: l.address, Health: health})
	}
	return s
}

// announce tells everybody of the endpoints as they are now, each after a while.
func (e *episode) announce(rng *rand.Rand) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.version++
	now, version := endpointsOf(e.listed), e.version
	tell := func(who any, learn func()) {
		late := time.Duration(rng.Int64N(int64(e.storm.skew) + 1))
		e.work.Go(func() {
			pause(e.Context(), late)
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.known[who] < version {
				e.known[who] = version
				learn()
			}
		})
	}
	tell("mesh", func() { e.mesh = now })
	for _, m := range e.live {
		tell(m, func() { _ = m.rings.Update(now) }) // only fails for endpoints that can't be hashed over
	}
}

// byMesh is the pod that the mesh gives a session to now; it may be dead.
func (e *episode) byMesh(id session.ID) *mate {
	e.mu.Lock()
	defer e.mu.Unlock()
	var in []endpoints.Endpoint
	for _, l := range e.mesh.Endpoints {
		if l.Health.InRotation() {
			in = append(in, l)
		}
	}
	picker, err := affinity.New(affinity.PolicyRing, endpoints.Set{Endpoints: in}.Hosts(), affinity.Options{})
	if err != nil {
		return e.live[0]
	}
	return e.at[in[picker.Pick(affinity.HashValue(string(id)), 0)].Address]
}

// any is some pod whose process runs.
func (e *episode) any(which int) *mate {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.live[which%len(e.live)]
}

// callers are one for each session, and a second one for every third.
func (e *episode) callers() []*asker {
	var all []*asker
	for i := range e.storm.sessions {
		id := session.ID(fmt.Sprintf("s-%d", i))
		for j := range 1 + (i%3)/2 {
			rng := rand.New(rand.NewPCG(e.storm.seed, uint64(100+10*i+j)))
			all = append(all, newAsker(e.network, e.Recorder, fmt.Sprintf("caller-%d-%d", i, j), id, rng))
		}
	}
	return all
}

func (e *episode) keepAsking(ctx context.Context, c *asker) {
	for ctx.Err() == nil {
		at := e.byMesh(c.session)
		if c.rng.IntN(10) == 0 { // a request that the mesh sent elsewhere, or a session token
			at = e.any(c.rng.IntN(1 << 20))
		}
		switch c.rng.IntN(40) {
		case 0:
			c.call(ctx, at)
		case 1, 2:
			c.hangUp(ctx, at)
		default:
			c.ask(ctx, at)
		}
		pause(ctx, time.Duration(c.rng.Int64N(int64(pace))))
	}
}

// audit has every pod know the same endpoints, and asks each of them about each session: once to hear of titles that no caller has seen
// yet, and once more with the highest epoch of all. Then it notes who takes itself for an owner.
func (e *episode) audit(callers []*asker) {
	all := endpointsOf(e.listed)
	for _, m := range e.live {
		require.NoError(e, m.rings.Update(all))
	}
	for _, c := range callers {
		for _, other := range callers {
			if other.session == c.session {
				c.seen = max(c.seen, other.seen)
			}
		}
		for _, m := range append(slices.Clone(e.live), e.live...) {
			tries := 0
			for !c.ask(e.Context(), m) {
				if tries++; tries == asksAgain {
					e.Errorf("seed %d: %s answers no question about %s", e.storm.seed, m.name, c.session)
					break
				}
				pause(e.Context(), pace)
			}
		}
	}
	for _, m := range e.live {
		e.minted += m.count(e.T, "minted") + m.count(e.T, "restored")
		for _, kept := range m.hands.Store.List() {
			if kept.Owner == "" && kept.Epoch > 0 {
				e.Record(history.Event{Kind: history.Left, Session: string(kept.ID),
					Title: history.Title{Epoch: kept.Epoch, Pod: m.name, Incarnation: m.incarnation}})
			}
		}
	}
}

// pause paces the exerciser. Nothing is expected to have happened after it.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
