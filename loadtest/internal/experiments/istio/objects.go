package istio

import (
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
)

const (
	appLabel = "app"
	// versionLabel is what the manifests' subsets go by.
	versionLabel = "version"
	// deploymentLabel tells the pods of two Deployments of one app from each other.
	deploymentLabel = "claims/deployment"
)

// Deployments of probes that most experiments have.
const (
	inside  = "inside"    // a client with a sidecar
	outside = "outside"   // a client without
	jarvis  = kube.Jarvis // servers in place of the pods, so that the project's Services select them
)

// probes is a Deployment of them.
type probes struct {
	name string
	// app is the label that Services select; empty is the name.
	app      string
	replicas int32
	// bare has no sidecar.
	bare bool
	// account is a ServiceAccount other than the default one.
	account string
	// version is the label that subsets go by; empty is none.
	version string
	// proxy is Istio's ProxyConfig for the sidecar.
	proxy map[string]any
	// preStop is for how many seconds the pods sleep before they hear SIGTERM, and grace how many they have in all; 0 is none, and one.
	preStop, grace int64
}

// object is the Deployment for a namespace, of an image.
func (p probes) object(image string) (*unstructured.Unstructured, error) {
	app := p.app
	if app == "" {
		app = p.name
	}
	labels := map[string]string{appLabel: app, deploymentLabel: p.name, overlay.PartOfLabel: overlay.Project}
	if p.version != "" {
		labels[versionLabel] = p.version
	}
	annotations := map[string]string{}
	if p.bare {
		labels["sidecar.istio.io/inject"] = "false"
	} else {
		annotations["sidecar.istio.io/proxyCPU"], annotations["sidecar.istio.io/proxyMemory"] = "10m", "40Mi"
	}
	if p.proxy != nil {
		text, err := yaml.Marshal(p.proxy)
		if err != nil {
			return nil, fmt.Errorf("encode a ProxyConfig: %w", err)
		}
		annotations["proxy.istio.io/config"] = string(text)
	}
	container := corev1.Container{
		Name: "probe", Image: image, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"probe"},
		Ports: []corev1.ContainerPort{{Name: kube.PortName, ContainerPort: probe.Port}},
		ReadinessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromString(kube.PortName)}},
			PeriodSeconds: 1,
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("5m"), corev1.ResourceMemory: resource.MustParse("16Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	if p.preStop > 0 {
		container.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: p.preStop}}}
	}
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: p.name, Labels: map[string]string{overlay.PartOfLabel: overlay.Project}},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(max(p.replicas, 1)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{deploymentLabel: p.name}},
			// All at once: how long a rollout takes is not what is measured.
			Strategy: appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxSurge: ptr.To(intstr.FromString("100%")), MaxUnavailable: ptr.To(intstr.FromInt32(0)),
			}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations},
				Spec: corev1.PodSpec{
					ServiceAccountName: p.account, AutomountServiceAccountToken: ptr.To(false), EnableServiceLinks: ptr.To(false),
					TerminationGracePeriodSeconds: ptr.To(max(p.grace, 1)),
					SecurityContext: &corev1.PodSecurityContext{
						RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
					},
					Containers: []corev1.Container{container},
				},
			},
		},
	}
	return plain(d)
}

// service is one more Service, with labels of its own, over the pods of an app.
func service(name, app string, labels map[string]string) (*unstructured.Unstructured, error) {
	return plain(&corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{appLabel: app},
			Ports:    []corev1.ServicePort{{Name: kube.PortName, Port: kube.ServicePort, TargetPort: intstr.FromString(kube.PortName)}},
		},
	})
}

// balanced is a DestinationRule of a Service that says how its pods are chosen, as loadBalancer does.
func balanced(service string, balancer map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
		"metadata": map[string]any{"name": service, "labels": map[string]any{overlay.PartOfLabel: overlay.Project}},
		"spec":     map[string]any{"host": service, "trafficPolicy": map[string]any{"loadBalancer": balancer}},
	}}
}

// plain is an object as the dynamic client takes it; a status is not ours to say.
func plain(o any) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("encode a %T: %w", o, err)
	}
	delete(content, "status")
	return &unstructured.Unstructured{Object: content}, nil
}

// url of a Service of the namespace.
func url(service, path string) string { return "http://" + service + path }

// sessions are n names that no other claim uses.
func sessions(prefix string, n int) (out []string) {
	for i := range n {
		out = append(out, prefix+"-"+strconv.Itoa(i))
	}
	return out
}
