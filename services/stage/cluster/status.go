package cluster

import (
	"context"
	"net"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/internal/apiserver"
)

// Variables of smaran that say how it chooses, and what it takes where they are not set.
const (
	backendVariable = "SMARAN_BACKEND"
	policyVariable  = "SMARAN_MESH_POLICY"
	ringVariable    = "SMARAN_RING_SIZE"
	modeVariable    = "SMARAN_SESSION_MODE"

	defaultBackend = "istio-hash"
	defaultPolicy  = "ring"
	defaultMode    = "strict"
	defaultRing    = 1024
)

// settleMargin is how long Istio may take to tell every proxy of other endpoints: it sends after 100 ms without a change.
const settleMargin = 3 * time.Second

// smaranURL is where the mesh has it.
const smaranURL = "http://" + smaran

// Status implements fleet.v1.
func (f *Fleet) Status(ctx context.Context, _ *connect.Request[fleetv1.StatusRequest]) (*connect.Response[fleetv1.StatusResponse], error) {
	d, err := f.server.deployment(ctx, smaran)
	if err != nil {
		return nil, f.refused(err)
	}
	out := &fleetv1.StatusResponse{
		Backend: variable(d, backendVariable, defaultBackend), Policy: variable(d, policyVariable, defaultPolicy), RingSize: defaultRing,
		SessionMode: variable(d, modeVariable, defaultMode),
		SmaranUrl:   smaranURL, MeshUrl: "http://" + service, History: f.ledger.all(), SettleMargin: durationpb.New(settleMargin),
	}
	if size, err := strconv.ParseUint(variable(d, ringVariable, ""), 10, 64); err == nil {
		out.RingSize = size
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

// variable is what a Deployment's first container has in its environment.
func variable(d *appsv1.Deployment, name, otherwise string) string {
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			if e.Name == name && e.Value != "" {
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
