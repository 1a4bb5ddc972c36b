package engine

import (
	"strconv"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/moves"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// history is the fleet's account of its endpoints, with times from the start of the run. Both are of this machine's clock.
func history(versions []*fleetv1.Endpoints, epoch time.Time) []moves.Version {
	out := make([]moves.Version, 0, len(versions))
	for _, v := range versions {
		set := endpoints.Set{Version: strconv.FormatUint(v.GetVersion(), 10)}
		for _, e := range v.GetEndpoints() {
			set.Endpoints = append(set.Endpoints, endpoints.Endpoint{Pod: e.GetPod(), Address: e.GetAddress(), Health: health(e.GetHealth())})
		}
		out = append(out, moves.Version{At: v.GetWritten().AsTime().Sub(epoch), Number: v.GetVersion(), Set: set})
	}
	return out
}

func health(name string) endpoints.Health {
	for _, h := range []endpoints.Health{endpoints.Healthy, endpoints.Draining} {
		if h.String() == name {
			return h
		}
	}
	return endpoints.Unhealthy
}
