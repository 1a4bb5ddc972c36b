package kubernetes

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"github.com/smaran-v2/smaran/services/endpoints"
)

// Merge makes one list of a Service's slices, by address. Each pod and each address is there once.
//
// In a Service with two address families each pod is in two slices; its IPv4 address counts, so that all pods are of one family.
// While the control plane moves an endpoint from one slice to another it is in both, and one of them is out of date. A pod never
// comes back from terminating, so of two entries of a pod that says the truth, also of the address in the other family, whose slice may be
// behind. Of two pods with one address the one that is terminating has lost it to the other.
//
// The pods in readied count as ready, unless they terminate.
func Merge(list []*discoveryv1.EndpointSlice, port string, readied ...string) []endpoints.Endpoint {
	var found []entry
	for _, s := range list {
		number, ok := portNumber(s, port)
		if !ok {
			continue
		}
		for _, e := range s.Endpoints {
			if at, ok := parse(e, number); ok {
				if !at.terminating && at.pod != "" && slices.Contains(readied, at.pod) {
					at.ready, at.serving = true, true
				}
				found = append(found, at)
			}
		}
	}
	settle(found)
	slices.SortFunc(found, func(a, b entry) int {
		return cmp.Or(-cmpBool(a.address.Addr().Is4(), b.address.Addr().Is4()), cmpBool(a.terminating, b.terminating),
			a.address.Compare(b.address), cmp.Compare(a.pod, b.pod))
	})
	var (
		out       []endpoints.Endpoint
		addresses = map[netip.AddrPort]bool{}
		pods      = map[string]bool{}
	)
	for _, e := range found {
		if addresses[e.address] || e.pod != "" && pods[e.pod] {
			continue
		}
		addresses[e.address], pods[e.pod] = true, true
		if health, there := e.health(); there {
			out = append(out, endpoints.Endpoint{Pod: e.pod, Address: e.address.String(), Health: health})
		}
	}
	slices.SortFunc(out, func(a, b endpoints.Endpoint) int {
		return netip.MustParseAddrPort(a.Address).Compare(netip.MustParseAddrPort(b.Address))
	})
	return out
}

// settle gives all entries of a pod that terminates the conditions of one that says so.
func settle(found []entry) {
	ends := map[string]entry{}
	for _, e := range found {
		if _, known := ends[e.pod]; e.terminating && e.pod != "" && (!known || e.address.Addr().Is4()) {
			ends[e.pod] = e
		}
	}
	for i, e := range found {
		if end, ok := ends[e.pod]; ok && !e.terminating {
			found[i].ready, found[i].serving, found[i].terminating = end.ready, end.serving, end.terminating
		}
	}
}

// entry is one endpoint of one slice.
type entry struct {
	pod                         string
	address                     netip.AddrPort
	ready, serving, terminating bool
}

// parse reads an endpoint. Only the first of its addresses counts (EndpointSlice's API reference); a condition that is not
// there says the better thing.
func parse(e discoveryv1.Endpoint, port uint16) (entry, bool) {
	if len(e.Addresses) == 0 {
		return entry{}, false
	}
	ip, err := netip.ParseAddr(e.Addresses[0])
	if err != nil { // a name, in a slice of addressType FQDN
		return entry{}, false
	}
	ready := ptr.Deref(e.Conditions.Ready, true)
	at := entry{
		address: netip.AddrPortFrom(ip, port), ready: ready,
		serving: ptr.Deref(e.Conditions.Serving, ready), terminating: ptr.Deref(e.Conditions.Terminating, false),
	}
	if ref := e.TargetRef; ref != nil && ref.Kind == "Pod" {
		at.pod = ref.Name
	}
	return at, true
}

// health is what Istio makes of the conditions where draining endpoints are kept, as they are for the stateful session's cookie
// (endpointHealthStatus in pilot/pkg/serviceregistry/kube/controller/endpointslice.go).
func (e entry) health() (h endpoints.Health, there bool) {
	switch {
	case e.ready:
		return endpoints.Healthy, true
	case e.serving && e.terminating:
		return endpoints.Draining, true
	}
	return 0, false
}

func portNumber(s *discoveryv1.EndpointSlice, name string) (uint16, bool) {
	for _, p := range s.Ports {
		number := ptr.Deref(p.Port, 0)
		if ptr.Deref(p.Name, "") == name && ptr.Deref(p.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP && number > 0 && number <= 65535 {
			return uint16(number), true
		}
	}
	return 0, false
}

// cmpBool orders false before true.
func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
