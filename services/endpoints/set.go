// Package endpoints reads, writes and watches the file that lists the pods: an EDS v3 DiscoveryResponse in JSON, the
// same bytes that a running Envoy reads through path_config_source.
//
// It holds one cluster, ClusterName, with one locality at priority 0. What Envoy would act upon and this project's
// data planes would not (a second locality, priorities, drop policies, further addresses) is refused by Parse rather
// than ignored, so that Envoy and they never see different fleets in one file.
//
// It chooses no host and checks no health: package affinity picks, whoever writes the file knows the health.
package endpoints

import (
	"github.com/smaran-v2/smaran/services/affinity"
)

// ClusterName is the cluster_name of the file's only resource.
const ClusterName = "jarvis"

// Endpoint is one pod.
type Endpoint struct {
	// Pod is its name, endpoint.hostname in EDS. It may be empty; two endpoints never share one.
	Pod string
	// Address is "ip:port", or "[ip]:port" for IPv6, as Envoy prints it. No two endpoints share one.
	Address string
	// Health is what the writer of the file knows.
	Health Health
	// Weight is load_balancing_weight; 0 means that the file has none, which counts as 1.
	Weight uint32
	// HashKey is metadata hash_key under envoy.lb, which Envoy hashes instead of the address; "" means none.
	HashKey string
}

// Host is the endpoint as the algorithms of package affinity see it.
func (e Endpoint) Host() affinity.Host {
	return affinity.Host{Address: e.Address, HashKey: e.HashKey, Weight: e.Weight}
}

// Set is one version of the file. Its endpoints keep the order of the file, which Envoy's ring depends on. A Set that a
// Watcher handed out is shared: do not change its slice.
type Set struct {
	// Version is version_info. Writers count it up; nothing compares it.
	Version   string
	Endpoints []Endpoint
}

// Hosts are the hosts that Envoy's ring hash and Maglev are built from: the endpoints in rotation, in the file's order.
// Without any it is empty and every request is answered 503: Istio sets the panic threshold to 0, which keeps Envoy
// from falling back on hosts that are not healthy. Degraded hosts are no help either, since the thread aware balancers
// only ever take a host set's healthy ones (normalizeWeights in thread_aware_lb_impl.cc).
func (s Set) Hosts() []affinity.Host {
	hosts := make([]affinity.Host, 0, len(s.Endpoints))
	for _, e := range s.Endpoints {
		if e.Health.InRotation() {
			hosts = append(hosts, e.Host())
		}
	}
	return hosts
}

// Lookup returns the endpoint of the pod called name, whatever its health.
func (s Set) Lookup(name string) (Endpoint, bool) {
	for _, e := range s.Endpoints {
		if e.Pod == name {
			return e, true
		}
	}
	return Endpoint{}, false
}

// LookupAddress returns the endpoint at address, whatever its health.
func (s Set) LookupAddress(address string) (Endpoint, bool) {
	for _, e := range s.Endpoints {
		if e.Address == address {
			return e, true
		}
	}
	return Endpoint{}, false
}
