package cluster

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
)

// of are an app's pods by name, and a channel that is closed once something has changed. They must not be changed.
func (f *Fleet) of(app string) ([]*corev1.Pod, <-chan struct{}) {
	all, changed := f.pods.Look()
	var out []*corev1.Pod
	for _, pod := range all {
		if pod.Labels[appLabel] == app {
			out = append(out, pod)
		}
	}
	return out, changed
}

// endpoints are the current version of those that the mesh hashes over.
func (f *Fleet) endpoints() *fleetv1.Endpoints {
	set := f.slices.Current()
	out := &fleetv1.Endpoints{}
	out.Version, _ = strconv.ParseUint(set.Version, 10, 64) // a Watcher counts them
	for _, e := range set.Endpoints {
		out.Endpoints = append(out.Endpoints, &fleetv1.Endpoint{Pod: e.Pod, Address: e.Address, Health: e.Health.String()})
	}
	return out
}
