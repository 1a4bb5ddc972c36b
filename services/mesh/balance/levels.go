package balance

import "github.com/smaran-v2/smaran/services/endpoints"

// The two kinds of hosts that may be used.
const (
	healthy = iota
	degraded
)

// levels is who may be used, and how much of the load each kind gets (recalculatePerPriorityState in load_balancer_impl.cc).
//
// A kind's availability is its share of the hosts, times an overprovisioning factor of 1.4, at most 100%. Healthy hosts
// get their availability of the load; degraded ones get what they leave. Draining hosts count as absent.
//
// Example: one healthy and one degraded host. Each is available to min(100, 1.4*50) = 70%, so that the healthy one gets 70%
// of the load and the degraded one the other 30%. With a second healthy one, min(100, 1.4*66) = 93%.
type levels struct {
	hosts [2][]int
	// healthyShare of 100 requests go to healthy hosts.
	healthyShare uint64
}

func newLevels(hosts []Host) levels {
	var l levels
	present := 0
	for i, h := range hosts {
		switch {
		case h.Health.InRotation():
			l.hosts[healthy] = append(l.hosts[healthy], i)
		case h.Health == endpoints.Degraded:
			l.hosts[degraded] = append(l.hosts[degraded], i)
		}
		if h.Health != endpoints.Draining {
			present++
		}
	}
	l.healthyShare = share(available(len(l.hosts[healthy]), present), available(len(l.hosts[degraded]), present))
	return l
}

// available is in percent. The order of the integer divisions is Envoy's.
func available(n, present int) uint64 {
	const overprovisioning = 140
	if present == 0 {
		return 0
	}
	return min(100, uint64(overprovisioning*n/present))
}

// share is what healthy hosts get of 100, given both kinds' availability.
func share(healthy, degraded uint64) uint64 {
	total := min(100, healthy+degraded)
	if total == 0 {
		return 100 // of nothing: there is no host to use
	}
	toHealthy := min(100, healthy*100/total)
	toDegraded := min(100-toHealthy, degraded*100/total)
	if healthy > 0 {
		return 100 - toDegraded // what rounding left over
	}
	return toHealthy
}

// choose returns which kind a request goes to.
func (l *levels) choose(random *Source) int {
	if l.healthyShare == 100 || random.Uint64()%100 < l.healthyShare {
		return healthy
	}
	return degraded
}
