package director

import (
	"time"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// deadShown is how long a pod that is gone is shown as dead.
const deadShown = 2 * time.Second

// pod is what is known of one: fleet's account of its process, and its own of what it does.
type pod struct {
	address string
	phase   stagev1.PodPhase
	process process
	// own account, nil before the first; asked is when it was asked for.
	own   *jarvisv1.StatusResponse
	asked time.Duration
	// born is when its process was first seen, and gone when it was first missed; 0 while it is there.
	born, gone time.Duration
}

// process tells a pod's processes apart, as far as the fleet does.
type process struct {
	restarts uint32
	pid      int64
	started  time.Time
}

func (p *pod) alive() bool { return p.gone == 0 && p.phase != stagev1.PodPhase_POD_PHASE_DEAD }

// pods of a lane by name.
type pods map[string]*pod

func (ps pods) get(name string) *pod {
	p := ps[name]
	if p == nil {
		p = &pod{}
		ps[name] = p
	}
	return p
}

// had is whether a pod is there that was there at a time already.
func (ps pods) had(name string, at time.Duration) bool {
	p := ps[name]
	return p != nil && p.alive() && p.born <= at
}

// byFleet takes the fleet's account. Phases have the same numbers in fleet.v1, jarvis.v1 and stage.v1.
func (ps pods) byFleet(s *fleetv1.StatusResponse, now time.Duration) {
	there := map[string]bool{}
	for _, f := range s.GetPods() {
		there[f.GetName()] = true
		p := ps.get(f.GetName())
		process := process{f.GetRestarts(), f.GetPid(), f.GetStarted().AsTime()}
		if p.process != process || p.gone > 0 {
			p.own, p.born, p.process = nil, now, process
		}
		p.address, p.phase, p.gone = f.GetAddress(), stagev1.PodPhase(f.GetPhase()), 0
	}
	ps.missing(there, now)
}

// bySmaran takes the pods' own account, which is all there is where nobody tells of the fleet.
func (ps pods) bySmaran(s *smaranv1.GetFleetResponse, alone bool, asked, now time.Duration) {
	there := map[string]bool{}
	for _, own := range s.GetPods() {
		there[own.GetPod()] = true
		if ps[own.GetPod()] == nil && !alone {
			continue // the fleet is asked more often, and is about to say so
		}
		p := ps.get(own.GetPod())
		if alone {
			if p.gone > 0 || p.own != nil && p.own.GetIncarnation() != own.GetIncarnation() {
				p.born = asked
			}
			p.address, p.gone, p.phase = own.GetAddress(), 0, stagev1.PodPhase(own.GetState())
		}
		if p.phase == stagev1.PodPhase_POD_PHASE_UNSPECIFIED {
			p.phase = stagev1.PodPhase(own.GetState())
		}
		p.own, p.asked = own, asked
	}
	if !alone {
		return
	}
	silent := map[string]bool{}
	for _, address := range s.GetUnreachable() {
		silent[address] = true
	}
	for name, p := range ps {
		there[name] = there[name] || silent[p.address] // listed, and not to be reached: no more is known
	}
	ps.missing(there, now)
}

func (ps pods) missing(there map[string]bool, now time.Duration) {
	for name, p := range ps {
		if !there[name] && p.gone == 0 {
			p.gone, p.own = now, nil
		}
	}
}

// fill puts the pods into a frame, with the number of sessions that each owns.
func (ps pods) fill(f *stagev1.Frame, lane string, owned map[string]uint32, now time.Duration) {
	for name, p := range ps {
		if p.gone > 0 && now-p.gone >= deadShown {
			delete(ps, name)
			f.Gone = append(f.Gone, &stagev1.Gone{Lane: lane, Thing: &stagev1.Gone_Pod{Pod: name}})
			continue
		}
		out := &stagev1.Pod{Lane: lane, Name: name, Address: p.address, Phase: p.phase, Sessions: owned[name], Restarts: p.process.restarts}
		if p.alive() {
			out.Calls = p.own.GetCalls()
			if d := p.own.GetDrain(); d != nil {
				out.Drain = &stagev1.Drain{RemainingMs: scene.Millis(d.GetRemaining().AsDuration()), Sessions: d.GetSessions(), Calls: d.GetCalls()}
			}
		} else {
			out.Phase = stagev1.PodPhase_POD_PHASE_DEAD
		}
		f.Pods = append(f.Pods, out)
	}
}
