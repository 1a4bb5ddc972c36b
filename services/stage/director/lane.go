package director

import (
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/director/meter"
	"github.com/smaran-v2/smaran/services/stage/director/moves"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/wire"
)

// downAfter is how long a fleet may leave questions unanswered before its lane is shown as down.
const downAfter = 2 * time.Second

// lane is what is known of one, and what its crowd is to do. Times count from the opening of the scene.
type lane struct {
	info venue.Lane

	// job is what is being done to it; nil: nothing. The director's lock guards it.
	job *job

	// asking is held while the fleet is asked, and telling while the crowd is told something. Both are taken before mu.
	asking, telling sync.Mutex

	mu sync.Mutex
	// fleet's and smaran's last answers; nil before the first, and without a control API.
	status  *fleetv1.StatusResponse
	backend string
	// fleetAsked and smaranAsked say how asking goes.
	fleetAsked, smaranAsked health
	// casting is why the lane is without a fleet, while it is.
	casting string

	hash     hash
	rotation rotation
	ring     shownRing

	pods     pods
	sessions map[string]*session
	// spent are sessions that are over, and whether they were a caller's: only a new call brings others back.
	spent map[string]bool

	load     load
	attached bool
	meter    *meter.Meter
	moves    *moves.Account
	events   []*event // since the meters began
	untold   uint32   // by the crowd, likewise
}

// health of one way to ask.
type health struct {
	answered bool // once at least
	failing  time.Duration
	err      error
}

func (h *health) heard(err error, now time.Duration) {
	if err == nil {
		*h = health{answered: true}
		return
	}
	if h.err == nil {
		h.failing = now
	}
	h.err = err
}

// shownRing is drawn anew when it is not fresh.
type shownRing struct{ fresh, shown bool }

// load is what the crowd was told last. Without take it was told nothing.
type load struct {
	calls      int
	rate       float64
	headerless bool
	take       uint32
	// waiting: nobody calls until the lane's fleet is ready, and held: nor then, as something is being done to it.
	waiting, held bool
}

func newLane(info venue.Lane) *lane {
	l := &lane{info: info, pods: pods{}}
	l.anew()
	return l
}

// anew begins counting from 0, with no session and no event.
func (l *lane) anew() {
	l.sessions, l.spent = map[string]*session{}, map[string]bool{}
	l.meter, l.moves, l.events = meter.New(), moves.New(), nil
	l.untold = 0
}

// byFleet takes what the control API said.
func (l *lane) byFleet(s *fleetv1.StatusResponse, err error, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fleetAsked.heard(err, now)
	if err != nil {
		if l.casting != "" { // one fleet is gone, and the other is not there yet
			l.pods.missing(nil, now)
			l.rotation, l.ring.fresh = rotation{}, false
		}
		return
	}
	l.status, l.backend = s, s.GetBackend()
	l.pods.byFleet(s, now)
	h, r := hashOf(s), rotationOf(s)
	if h == l.hash && r.equal(l.rotation) {
		return
	}
	if h != l.hash {
		for id, session := range l.sessions {
			session.position, session.placed = h.position(id)
		}
	}
	l.hash, l.rotation, l.ring.fresh = h, r, false
	l.expect()
}

// bySmaran takes what the coordinator said of the pods.
func (l *lane) bySmaran(r *smaranv1.GetFleetResponse, err error, asked, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.smaranAsked.heard(err, now)
	if err != nil {
		return
	}
	asked = max(asked, 1)
	if l.info.Fleet == nil {
		l.backend = r.GetBackend()
	}
	l.pods.bySmaran(r, l.info.Fleet == nil, asked, now)
	l.sessionsBySmaran(r, asked, now)
}

// state of the lane, and why.
func (l *lane) state(now time.Duration) (stagev1.LaneState, string) {
	if l.casting != "" {
		return stagev1.LaneState_LANE_STATE_STARTING, l.casting
	}
	fleet, smaran := l.fleetAsked, l.smaranAsked
	if l.info.Fleet != nil {
		switch {
		case fleet.err != nil && now-fleet.failing > downAfter:
			return stagev1.LaneState_LANE_STATE_DOWN, words(fleet.err)
		case !fleet.answered:
			return stagev1.LaneState_LANE_STATE_STARTING, "its fleet has not answered yet"
		case smaran.err != nil && !l.smaranRuns():
			return stagev1.LaneState_LANE_STATE_STARTING, "its smaran is being started"
		}
	}
	switch {
	case smaran.err != nil && now-smaran.failing > downAfter:
		return stagev1.LaneState_LANE_STATE_DOWN, words(smaran.err)
	case !smaran.answered:
		return stagev1.LaneState_LANE_STATE_STARTING, "its smaran has not answered yet"
	}
	return stagev1.LaneState_LANE_STATE_UP, ""
}

// opens is whether callers wait, and the lane is ready for them.
func (l *lane) opens(now time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	state, _ := l.state(now)
	return l.load.waiting && !l.load.held && state == stagev1.LaneState_LANE_STATE_UP && l.fleetAsked.err == nil && l.smaranAsked.err == nil
}

func (l *lane) starts(now time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	state, _ := l.state(now)
	return state == stagev1.LaneState_LANE_STATE_STARTING
}

// message of the lane.
func (l *lane) message(now time.Duration) *stagev1.Lane {
	out := &stagev1.Lane{
		Id: l.info.ID, Backend: l.backend, Policy: l.status.GetPolicy(), Smaran: PathSmaran + l.info.ID, Relay: l.info.Relay,
		VerbsReason: l.info.Reason, Backends: l.info.Backends, RedisUp: l.redisUp(),
		Load: &stagev1.Load{
			Attached: l.attached, Calls: uint32(l.load.calls), Rate: l.load.rate, Headerless: l.load.headerless, LateShare: l.meter.LateShare(),
			Untold: l.untold,
		},
		Meters: &stagev1.Meters{Moved: l.moves.Moved(), Expected: l.expected()},
	}
	out.State, out.Reason = l.state(now)
	for _, v := range l.info.Verbs {
		if byCrowd(v) && !l.attached {
			continue
		}
		out.Verbs = append(out.Verbs, string(v))
	}
	l.meter.Fill(out.Meters)
	return out
}

// process of the fleet that is no pod; nil where there is none of that name.
func (l *lane) process(name string) *fleetv1.Process {
	for _, p := range l.status.GetProcesses() {
		if p.GetName() == name {
			return p
		}
	}
	return nil
}

// redisUp is nil where the lane has no Redis.
func (l *lane) redisUp() *bool {
	if p := l.process(wire.RedisProcess); p != nil {
		return proto.Bool(p.GetRunning())
	}
	return nil
}

// smaranRuns is false where the fleet says that it does not.
func (l *lane) smaranRuns() bool {
	p := l.process(wire.SmaranProcess)
	return p == nil || p.GetRunning()
}

func (l *lane) hasCrowd() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.attached
}

func (l *lane) can(v venue.Verb) bool { return slices.Contains(l.info.Verbs, v) }

// ready are the pods that a kill may hit, by name.
func (l *lane) ready() []string {
	return l.podsThat(func(p *pod) bool { return p.phase == stagev1.PodPhase_POD_PHASE_READY })
}

// names of the pods that are there.
func (l *lane) names() []string { return l.podsThat(func(*pod) bool { return true }) }

// podsThat are there, and do, by name.
func (l *lane) podsThat(do func(*pod) bool) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for name, p := range l.pods {
		if p.gone == 0 && do(p) {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, byNumber)
	return out
}

// byNumber has jarvis-2 before jarvis-10.
func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// order is what the crowd is to do; nil where it was never told anything.
func (l *lane) order(seed uint64) *stagev1.CrowdOrder {
	if l.load.rate <= 0 {
		return nil
	}
	calls := l.load.calls
	if l.load.waiting {
		calls = 0
	}
	return &stagev1.CrowdOrder{
		SmaranUrl: l.info.Smaran, Calls: uint32(calls), Rate: l.load.rate, Headerless: l.load.headerless, Seed: seed, Take: l.load.take,
	}
}
