package compose

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/builds"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/discovery/dns"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// SettleMargin is how long after Envoy's change smaran may still see another fleet, or Envoy after smaran: both look up the pods' name
// and check each pod in the same intervals (deploy/compose/envoy says so to Envoy), not at the same moments. The driver itself sees
// Envoy's change one poll late, or later where Envoy was slow to answer: Status then says so much more.
const SettleMargin = (dns.UnhealthyAfter+1)*dns.Interval + dns.CheckTimeout + pollEvery

// Status implements driver.Fleet. The history is Envoy's own.
func (f *fleet) Status(context.Context) (*fleetv1.StatusResponse, error) {
	backend, _ := driver.SplitBackend(f.spec.Backend)
	s := &fleetv1.StatusResponse{
		Backend: backend, Policy: string(f.policy), RingSize: f.ringSize, SmaranUrl: "http://" + f.layout.smaran,
		SessionMode:  string(f.spec.SessionMode()),
		History:      f.history.all(),
		SettleMargin: durationpb.New(SettleMargin - pollEvery + f.history.lateness()),
		Processes: []*fleetv1.Process{
			{Name: smaranService, Address: f.layout.smaran, Admin: f.layout.smaranAdmin, Kind: builds.Kind, Version: f.versions.smaran},
			{Name: "mesh", Admin: f.layout.envoyAdmin, Kind: envoyService, Version: f.versions.envoy},
			{Name: redisService, Kind: redisServer, Version: f.versions.redis},
			{Name: endpoints.ClusterName, Running: true, Kind: builds.Kind, Version: f.versions.jarvis}, // which build the pods are
		},
	}
	for i, service := range []string{smaranService, envoyService, redisService} {
		s.Processes[i].Running = f.watch.look(service).running
	}
	for _, p := range f.layout.pods {
		if state := f.watch.look(p.name); state.starts > 0 && !state.removed {
			s.Pods = append(s.Pods, &fleetv1.Pod{
				Name: p.name, Address: p.address, Admin: p.admin, Phase: f.phase(p, state),
				Started: timestamppb.New(state.started), Restarts: uint32(state.starts - 1),
			})
		}
	}
	return s, nil
}

func (f *fleet) phase(p pod, s state) fleetv1.PodPhase {
	health, _ := f.history.health(p)
	switch {
	case !s.running:
		return fleetv1.PodPhase_POD_PHASE_DEAD
	case s.frozen:
		return fleetv1.PodPhase_POD_PHASE_FROZEN
	case s.stopping, health == endpoints.Draining:
		return fleetv1.PodPhase_POD_PHASE_DRAINING
	case !health.InRotation():
		return fleetv1.PodPhase_POD_PHASE_STARTING
	default:
		return fleetv1.PodPhase_POD_PHASE_READY
	}
}
