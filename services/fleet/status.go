package fleet

import (
	"os"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/version"
	"github.com/smaran-v2/smaran/services/wire"
)

// settleMargin is how long a change of the endpoints takes at most to reach who watches the file.
const settleMargin = 500 * time.Millisecond

// Status describes the fleet. It never waits for a change.
func (f *Fleet) Status() *fleetv1.StatusResponse {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &fleetv1.StatusResponse{
		Backend:     string(f.cfg.Backend),
		Policy:      string(f.cfg.meshPolicy()),
		RingSize:    f.cfg.ringSize(),
		SmaranUrl:   baseURL(f.ways[0].smaran.address),
		MeshUrl:     baseURL(f.ways[0].mesh.address),
		SessionMode: f.cfg.SessionMode,
		// A second way is behind by so much.
		SettleMargin: durationpb.New(f.cfg.SecondWay + settleMargin),
		History:      f.ledger.versions(),
		Notices:      f.notices.all(),
		Processes: []*fleetv1.Process{
			{Name: wire.FleetProcess, Pid: int64(os.Getpid()), Address: f.control, Running: true, Kind: kindGo, Version: version.String()},
			f.ways[0].smaran.status(smaranName),
			f.ways[0].mesh.status(meshName),
			f.redis.status(redisName),
		},
	}
	if f.embedded != nil {
		s.Processes[3].Pid, s.Processes[3].Running = int64(os.Getpid()), f.embedded.server != nil
	}
	for _, w := range f.ways {
		s.SmaranUrls = append(s.SmaranUrls, baseURL(w.smaran.address))
	}
	if len(f.ways) > 1 {
		s.Processes = append(s.Processes, f.ways[1].smaran.status(smaranName+secondSuffix), f.ways[1].mesh.status(meshName+secondSuffix))
	}
	for _, p := range f.pods {
		s.Pods = append(s.Pods, p.status())
	}
	return s
}

func (s *service) status(name string) *fleetv1.Process {
	out := &fleetv1.Process{Name: name, Address: s.address, Admin: s.admin, Kind: s.kind, Version: s.version}
	if s.member != nil {
		v := s.member.look()
		out.Pid, out.Running = int64(v.pid), v.phase == ready
	}
	return out
}

func (p *pod) status() *fleetv1.Pod {
	v := p.look()
	out := &fleetv1.Pod{
		Name: p.name, Address: p.at.http, Admin: p.at.admin, Pid: int64(v.pid), Restarts: v.restarts, Phase: v.protoPhase(),
	}
	if !v.started.IsZero() {
		out.Started = timestamppb.New(v.started)
	}
	return out
}

func (v view) protoPhase() fleetv1.PodPhase {
	switch {
	case v.phase == dead || v.phase == ended:
		return fleetv1.PodPhase_POD_PHASE_DEAD
	case v.frozen:
		return fleetv1.PodPhase_POD_PHASE_FROZEN
	case v.stopping:
		return fleetv1.PodPhase_POD_PHASE_DRAINING
	case v.phase == starting:
		return fleetv1.PodPhase_POD_PHASE_STARTING
	}
	return fleetv1.PodPhase_POD_PHASE_READY
}
