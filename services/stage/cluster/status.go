package cluster

import (
	"context"
	"net"
	"slices"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/internal/apiserver"
)

// Variables of smaran that say how it chooses, and what it takes where they are not set.
const (
	backendVariable = "SMARAN_BACKEND"
	policyVariable  = "SMARAN_MESH_POLICY"
	ringVariable    = "SMARAN_RING_SIZE"

	defaultBackend = "istio-hash"
	defaultPolicy  = "ring"
	defaultRing    = 1024
)

// smaranURL is where the mesh has it.
const smaranURL = "http://" + smaran

// Status implements fleet.v1, from what was told of the pods, and as far as a stage reads it: of the endpoints' versions it has the current one
// alone. How smaran chooses is not in it until a pod of smaran's was seen.
func (f *Fleet) Status(context.Context, *connect.Request[fleetv1.StatusRequest]) (*connect.Response[fleetv1.StatusResponse], error) {
	out := &fleetv1.StatusResponse{History: []*fleetv1.Endpoints{f.endpoints()}}
	if p := f.chooser(); p != nil {
		out.Backend, out.Policy = variable(p, backendVariable, defaultBackend), variable(p, policyVariable, defaultPolicy)
		out.RingSize = defaultRing
		if size, err := strconv.ParseUint(variable(p, ringVariable, ""), 10, 64); err == nil {
			out.RingSize = size
		}
	}
	all, _ := f.of(jarvis)
	for _, p := range all {
		out.Pods = append(out.Pods, describe(p))
	}
	for name, app := range map[string]string{"smaran": smaran, "redis": redis} {
		found, _ := f.of(app)
		out.Processes = append(out.Processes, &fleetv1.Process{Name: name, Running: count(found, ready) > 0})
	}
	return connect.NewResponse(out), nil
}

// chooser is the pod whose environment says how smaran chooses: the newest that is ready, or else the newest. While there is none it is the
// one that was last; nil before the first.
func (f *Fleet) chooser() *corev1.Pod {
	all, _ := f.of(smaran)
	if serving := slices.DeleteFunc(slices.Clone(all), func(p *corev1.Pod) bool { return !ready(p) }); len(serving) > 0 {
		all = serving
	}
	if len(all) > 0 {
		f.chose.Store(slices.MaxFunc(all, func(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) }))
	}
	return f.chose.Load()
}

// variable is what smaran's container has in its environment; sidecars are beside it.
func variable(p *corev1.Pod, name, otherwise string) string {
	for _, c := range p.Spec.Containers {
		for _, e := range c.Env {
			if c.Name == smaranContainer && e.Name == name && e.Value != "" {
				return e.Value
			}
		}
	}
	return otherwise
}

func describe(p *corev1.Pod) *fleetv1.Pod {
	out := &fleetv1.Pod{Name: p.Name, Phase: fleetv1.PodPhase_POD_PHASE_STARTING}
	if p.Status.PodIP != "" {
		out.Address = net.JoinHostPort(p.Status.PodIP, strconv.Itoa(int(port(p))))
	}
	if p.Status.StartTime != nil {
		out.Started = timestamppb.New(p.Status.StartTime.Time)
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == jarvis {
			out.Restarts = uint32(c.RestartCount)
		}
	}
	switch {
	case p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded:
		out.Phase = fleetv1.PodPhase_POD_PHASE_DEAD
	case leaving(p):
		out.Phase = fleetv1.PodPhase_POD_PHASE_DRAINING
	case ready(p):
		out.Phase = fleetv1.PodPhase_POD_PHASE_READY
	}
	return out
}

// port is the number of the port that is named http, 0 where there is none.
func port(p *corev1.Pod) int32 {
	for _, c := range p.Spec.Containers {
		for _, at := range c.Ports {
			if at.Name == portName {
				return at.ContainerPort
			}
		}
	}
	return 0
}

func leaving(p *corev1.Pod) bool { return p.DeletionTimestamp != nil }

// ready is whether a pod is to stay, and is asked.
func ready(p *corev1.Pod) bool { return !leaving(p) && apiserver.Is(p, corev1.PodReady) }

func count(all []*corev1.Pod, is func(*corev1.Pod) bool) (n int) {
	for _, p := range all {
		if is(p) {
			n++
		}
	}
	return n
}
