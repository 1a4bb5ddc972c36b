package mesh

import (
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// Policy names how a pod is chosen.
type Policy string

// The policies. The two stateful ones balance new sessions by least requests, Istio's default.
const (
	RoundRobin       Policy = "round_robin"
	LeastRequest     Policy = "least_request"
	Random           Policy = "random"
	Ring             Policy = "ring"
	Maglev           Policy = "maglev"
	StatefulByHeader Policy = "stateful-header"
	StatefulByCookie Policy = "stateful-cookie"
)

// Policies lists every policy, in the order in which they are documented.
func Policies() []Policy {
	return []Policy{RoundRobin, LeastRequest, Random, Ring, Maglev, StatefulByHeader, StatefulByCookie}
}

// Algorithm is the hash behind the policy; ok is false for those that do not hash.
func (p Policy) Algorithm() (algorithm affinity.Policy, ok bool) {
	switch p {
	case Ring:
		return affinity.PolicyRing, true
	case Maglev:
		return affinity.PolicyMaglev, true
	default:
		return "", false
	}
}

// Stateful is whether a token in the request selects the pod.
func (p Policy) Stateful() bool { return p == StatefulByHeader || p == StatefulByCookie }

func (p Policy) valid() bool { return slices.Contains(Policies(), p) }

func joinPolicies() string {
	names := make([]string, 0, len(Policies()))
	for _, p := range Policies() {
		names = append(names, string(p))
	}
	return strings.Join(names, ",")
}

// Selectable are the statuses in which a stateful session's token may select a pod; nil for the policies without one.
// Istio lets the cookie reach a pod that is draining (override_host_status); for the header it keeps draining pods out of
// EDS, which comes to the same as not letting them be selected.
func (p Policy) Selectable() []endpoints.Health {
	switch p {
	case StatefulByHeader:
		return []endpoints.Health{endpoints.Unknown, endpoints.Healthy, endpoints.Degraded}
	case StatefulByCookie:
		return []endpoints.Health{endpoints.Unknown, endpoints.Healthy, endpoints.Degraded, endpoints.Draining}
	default:
		return nil
	}
}
