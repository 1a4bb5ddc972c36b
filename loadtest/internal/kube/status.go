package kube

import (
	"context"
	"net"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"

	"github.com/smaran-v2/smaran/loadtest/internal/builds"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
)

// Status implements driver.Fleet.
func (f *fleet) Status(context.Context) (*fleetv1.StatusResponse, error) {
	now := f.view.Now()
	out := &fleetv1.StatusResponse{
		Backend: f.spec.Backend, Policy: f.policy, SmaranUrl: smaranURL, MeshUrl: "http://" + JarvisService, SessionMode: string(f.spec.SessionMode()),
		History: f.ledger.all(), SettleMargin: durationpb.New(settleMargin),
	}
	for _, p := range f.watch.proxies {
		out.RingSize = max(out.RingSize, p.ring)
	}
	pods := now.PodsOf(Jarvis)
	for _, p := range pods {
		out.Pods = append(out.Pods, pod(p))
	}
	if len(pods) > 0 { // which build they all are
		out.Processes = append(out.Processes, &fleetv1.Process{
			Name: Jarvis, Running: true, Kind: builds.Kind, Version: f.revisions.jarvis + " (" + build(pods[0], Jarvis) + ")",
		})
	}
	if all := now.PodsOf(Smaran); len(all) > 0 {
		p := all[0]
		out.Processes = append(out.Processes,
			&fleetv1.Process{Name: "smaran", Running: view.Ready(p), Kind: builds.Kind, Version: f.revisions.smaran + " (" + build(p, smaranContainer) + ")"},
			&fleetv1.Process{Name: "mesh", Running: true, Kind: "istio", Version: tag(proxyImage(p)) + " (Envoy " + f.watch.version + ")"})
	}
	for _, p := range now.PodsOf(redis) {
		out.Processes = append(out.Processes, &fleetv1.Process{Name: redis, Running: view.Ready(p), Kind: "redis-server", Version: tag(image(p, redis))})
	}
	return out, nil
}

func pod(p *corev1.Pod) *fleetv1.Pod {
	out := &fleetv1.Pod{Name: p.Name, Address: net.JoinHostPort(p.Status.PodIP, strconv.Itoa(containerPort(p, PortName))), Phase: fleetv1.PodPhase_POD_PHASE_STARTING}
	if p.Status.StartTime != nil {
		out.Started = timestamppb.New(p.Status.StartTime.Time)
	}
	if c := view.Container(p, Jarvis); c != nil {
		out.Restarts = uint32(c.RestartCount)
	}
	switch {
	case p.DeletionTimestamp != nil:
		out.Phase = fleetv1.PodPhase_POD_PHASE_DRAINING
	case view.Ready(p):
		out.Phase = fleetv1.PodPhase_POD_PHASE_READY
	}
	return out
}

// containerPort is the number of a pod's port, 0 where it has none of that name.
func containerPort(p *corev1.Pod, name string) int {
	for _, c := range p.Spec.Containers {
		for _, port := range c.Ports {
			if port.Name == name {
				return int(port.ContainerPort)
			}
		}
	}
	return 0
}

func image(p *corev1.Pod, container string) string {
	for _, c := range p.Spec.Containers {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}

// idDigits are as many of an image's ID as docker shows.
const idDigits = 12

// build is a container's image with its ID, for an image of ours: its tag says nothing of what it was built from.
func build(p *corev1.Pod, container string) string {
	c := view.Container(p, container)
	if c == nil {
		return image(p, container)
	}
	_, id, _ := strings.Cut(c.ImageID, "sha256:")
	if len(id) < idDigits {
		return image(p, container)
	}
	return image(p, container) + "@" + id[:idDigits]
}

// proxyImage is the sidecar's, which is an init container where it is a native one.
func proxyImage(p *corev1.Pod) string {
	for _, c := range p.Spec.InitContainers {
		if c.Name == sidecar {
			return c.Image
		}
	}
	return image(p, sidecar)
}

// tag of an image reference, name[:tag][@digest]; the whole reference where it has none.
func tag(image string) string {
	name, _, _ := strings.Cut(image, "@")
	// A colon before the last slash is of the registry's port.
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		return name[i+1:]
	}
	return image
}
