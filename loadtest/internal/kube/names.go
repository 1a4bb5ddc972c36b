package kube

import (
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// Namespace is where deploy/ puts everything.
const Namespace = "dev"

// Names in deploy/. Deployments are also the pods' label app, but for jarvis' and redis' they are the container's as well. PortName is what
// Services call the port of a pod, and what Istio takes for the protocol.
const (
	Jarvis        = "jarvis"
	Smaran        = "smaran-v2"
	JarvisService = "jarvis-service"
	ServicePort   = 80
	PortName      = "http"

	redis           = "redis"
	smaranContainer = "smaran"
	adminPortName   = "admin"
	sidecar         = "istio-proxy"

	gatewayNamespace = "istio-system"
	gatewaySelector  = "istio=ingressgateway"
)

// smaranURL reaches smaran from a pod of the namespace.
const smaranURL = "http://" + Smaran

// lenientRouting is the feature that lets requests without a session pass the mesh.
const lenientRouting = "routing-lenient"

// Variables of smaran's and jarvis' that a run sets or reads.
const (
	smaranPolicy = "SMARAN_MESH_POLICY"
	smaranMode   = "SMARAN_SESSION_MODE"
	smaranSeed   = "SMARAN_SEED"
	jarvisMode   = "JARVIS_SESSION_MODE"
	jarvisDrain  = "JARVIS_DRAIN_TIMEOUT"
	jarvisStore  = "JARVIS_SESSION_STORE"
)

// routes is the name of the route configuration of the sidecars for port 80.
const routes = "80"

// serviceHost is jarvis-service's name in the mesh.
const serviceHost = JarvisService + "." + Namespace + ".svc.cluster.local"

func outbound() string { return proxies.Outbound(JarvisService, Namespace, ServicePort) }

// OverlayOf is the folder below deploy/overlays for a backend as on the command line.
func OverlayOf(backendName string) string {
	name, policy := driver.SplitBackend(backendName)
	if backend.Name(name) == backend.IstioHash && policy == string(affinity.PolicyRing) {
		return name // its default
	}
	return strings.ReplaceAll(backendName, ":", "-")
}
