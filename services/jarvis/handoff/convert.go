package handoff

import (
	"errors"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/jarvis/state"
)

func titleMessage(t state.Title) *jarvisv1.Title {
	return &jarvisv1.Title{Epoch: t.Epoch, Owner: t.Owner, Incarnation: t.Incarnation}
}

func readTitle(m *jarvisv1.Title) state.Title {
	return state.Title{Epoch: m.GetEpoch(), Owner: m.GetOwner(), Incarnation: m.GetIncarnation()}
}

// ErrHosts is a Prepare for endpoints over which the mesh would not hash.
var ErrHosts = errors.New("no endpoints to prepare for")

// Hosts and readHosts are the endpoints of a Prepare.
func Hosts(rotation []endpoints.Endpoint) []*jarvisv1.Host {
	hosts := make([]*jarvisv1.Host, len(rotation))
	for i, e := range rotation {
		hosts[i] = &jarvisv1.Host{Address: e.Address, Pod: e.Pod, Weight: e.Weight, HashKey: e.HashKey}
	}
	return hosts
}

func readHosts(hosts []*jarvisv1.Host) []endpoints.Endpoint {
	rotation := make([]endpoints.Endpoint, len(hosts))
	for i, h := range hosts {
		rotation[i] = endpoints.Endpoint{Address: h.GetAddress(), Pod: h.GetPod(), Weight: h.GetWeight(), HashKey: h.GetHashKey(),
			Health: endpoints.Healthy}
	}
	return rotation
}
