package manifests_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A checker lists what is wrong with a rendering, nothing if all is well.
type checker func(t *testing.T, built objects) []string

// checkers by the sentence that they hold renderings to.
func checkers(t *testing.T) map[string]checker {
	return map[string]checker{
		"an API server would take it":                             newSchemas(t).misfits(),
		"annotations of Istio are Istio's":                        strangeAnnotations,
		"containers meet Pod Security restricted":                 privileged,
		"variables are those of the programs":                     strangeVariables,
		"an object stands once":                                   duplicates,
		"a host has one DestinationRule":                          rulesSharingAHost,
		"a host with a port is a Service's":                       strayHosts,
		"all live where they belong and carry the project's name": strays,
		"ports are named, and Services name them":                 unnamedPorts,
		"selectors select a Deployment's pods":                    idleSelectors,
		"images are ours or pinned":                               unpinnedImages,
		"no Secret is in git":                                     secrets,
	}
}

func TestRenderings(t *testing.T) {
	all := rendered(t)
	for sentence, check := range checkers(t) {
		t.Run(sentence, func(t *testing.T) {
			for name, built := range all {
				require.Empty(t, check(t, built), name)
			}
		})
	}
}

func TestCheckersCanFail(t *testing.T) {
	built := with(t, "istio-hash", "network-policy")
	first := func(kind string) *unstructured.Unstructured { return built.ofKind(kind)[0] }
	jarvis := built.named(t, "Deployment", "jarvis")
	container := func(key string, value any) func(map[string]any) {
		return func(object map[string]any) {
			containers, _, err := unstructured.NestedSlice(object, "spec", "template", "spec", "containers")
			require.NoError(t, err)
			containers[0].(map[string]any)[key] = value
			set(t, containers, "spec", "template", "spec", "containers")(object)
		}
	}
	all := checkers(t)
	controls := map[string][]*unstructured.Unstructured{
		"an API server would take it":      {edited(t, jarvis, set(t, int64(3), "spec", "replica"))}, // more in TestSchemasRefuse
		"annotations of Istio are Istio's": {edited(t, jarvis, set(t, "10m", "spec", "template", "metadata", "annotations", "sidecar.istio.io/proxyCpu"))},
		"variables are those of the programs": {
			edited(t, jarvis, container("env", []any{map[string]any{"name": "JARVIS_WEIGHT"}, map[string]any{"name": "JARVIS_POD"}}))},
		"containers meet Pod Security restricted": {
			edited(t, jarvis, set(t, map[string]any{}, "spec", "template", "spec", "securityContext")),
			edited(t, jarvis, container("securityContext", map[string]any{
				"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}})),
		},
		"an object stands once":                                   {first("Service")},
		"a host has one DestinationRule":                          {edited(t, first("DestinationRule"), set(t, "jarvis-service.dev.svc.cluster.local", "spec", "host"))},
		"a host with a port is a Service's":                       {edited(t, first("DestinationRule"), set(t, "jarvis", "spec", "host"))},
		"all live where they belong and carry the project's name": {edited(t, jarvis, set(t, "prod", "metadata", "namespace")), edited(t, jarvis, set(t, map[string]any{}, "metadata", "labels"))},
		"ports are named, and Services name them": {
			edited(t, jarvis, container("ports", []any{map[string]any{"containerPort": int64(1)}})),
			edited(t, first("Service"), set(t, []any{map[string]any{"name": "http", "port": int64(80), "targetPort": "https"}}, "spec", "ports")),
			edited(t, first("Service"), set(t, []any{map[string]any{"name": "web", "port": int64(80), "targetPort": "http"}}, "spec", "ports")),
		},
		"selectors select a Deployment's pods": {
			edited(t, first("Service"), set(t, map[string]any{"app": "jarvi"}, "spec", "selector")),
			edited(t, first("PodDisruptionBudget"), set(t, map[string]any{"app": "jarvi"}, "spec", "selector", "matchLabels")),
			edited(t, first("AuthorizationPolicy"), set(t, map[string]any{"app": "jarvi"}, "spec", "selector", "matchLabels")),
			edited(t, built.named(t, "NetworkPolicy", "redis"), set(t, map[string]any{"app": "radis"}, "spec", "podSelector", "matchLabels")),
			edited(t, jarvis, set(t, map[string]any{"app": "jarvi"}, "spec", "selector", "matchLabels")),
		},
		"images are ours or pinned": {edited(t, jarvis, container("image", "redis:latest")), edited(t, jarvis, container("image", "redis"))},
		"no Secret is in git":       {edited(t, jarvis, set(t, "Secret", "kind"))},
	}
	for sentence, check := range all {
		t.Run(sentence, func(t *testing.T) {
			require.Empty(t, check(t, built))
			require.NotEmpty(t, controls[sentence])
			for i, doctored := range controls[sentence] {
				require.Len(t, check(t, append(slices.Clone(built), doctored)), 1, "number %d", i)
			}
		})
	}
}

func duplicates(_ *testing.T, built objects) (wrong []string) {
	seen := map[string]bool{}
	for _, object := range built {
		id := fmt.Sprint(object.GroupVersionKind().GroupKind(), " ", object.GetNamespace(), "/", object.GetName())
		if seen[id] {
			wrong = append(wrong, id)
		}
		seen[id] = true
	}
	return wrong
}

// short is a host's name without what Kubernetes' DNS would add.
func short(host string) string {
	name, _, _ := strings.Cut(host, ".dev.svc.cluster.local")
	return strings.TrimSuffix(name, ".dev")
}

func rulesSharingAHost(_ *testing.T, built objects) (wrong []string) {
	rules := map[string]string{}
	for _, rule := range built.ofKind("DestinationRule") {
		host, _, _ := unstructured.NestedString(rule.Object, "spec", "host")
		if other, taken := rules[short(host)]; taken {
			wrong = append(wrong, fmt.Sprintf("%s and %s are both for %s", other, rule.GetName(), host))
		}
		rules[short(host)] = rule.GetName()
	}
	return wrong
}

// strayHosts looks at the rules' hosts and at all destinations of routes.
func strayHosts(t *testing.T, built objects) (wrong []string) {
	services := map[string][]int64{}
	for _, object := range built.ofKind("Service") {
		for _, port := range typed[corev1.Service](t, object).Spec.Ports {
			services[object.GetName()] = append(services[object.GetName()], int64(port.Port))
		}
	}
	expect := func(where, host string, port int64) {
		ports, ok := services[short(host)]
		if !ok || port != 0 && !slices.Contains(ports, port) {
			wrong = append(wrong, fmt.Sprintf("%s: no Service is %s:%d", where, host, port))
		}
	}
	for _, rule := range built.ofKind("DestinationRule") {
		host, _, _ := unstructured.NestedString(rule.Object, "spec", "host")
		expect(rule.GetName(), host, 0)
	}
	for _, routing := range built.ofKind("VirtualService") {
		routes, _, _ := unstructured.NestedSlice(routing.Object, "spec", "http")
		for _, route := range routes {
			destinations, _, _ := unstructured.NestedSlice(route.(map[string]any), "route")
			for _, d := range destinations {
				host, _, _ := unstructured.NestedString(d.(map[string]any), "destination", "host")
				port, _, _ := unstructured.NestedInt64(d.(map[string]any), "destination", "port", "number")
				expect(routing.GetName(), host, port)
			}
		}
	}
	return wrong
}

// strays live neither in dev nor in observability. Prometheus may list the pods of istio-system, where the gateway is.
func strays(_ *testing.T, built objects) (wrong []string) {
	homes := []string{"dev", "observability"}
	for _, object := range built {
		home := object.GetNamespace()
		if object.GetKind() == "Namespace" {
			home = object.GetName()
		}
		lists := home == "istio-system" && object.GetName() == "prometheus" && strings.HasPrefix(object.GetKind(), "Role")
		if !slices.Contains(homes, home) && !lists || object.GetLabels()["app.kubernetes.io/part-of"] != "smaran" {
			wrong = append(wrong, object.GetKind()+" "+object.GetName())
		}
	}
	return wrong
}

// unnamedPorts: Istio reads a protocol from the name of a Service's port.
func unnamedPorts(t *testing.T, built objects) (wrong []string) {
	deployments := typedAll[appsv1.Deployment](t, built.ofKind("Deployment"))
	for _, d := range deployments {
		for _, c := range d.Spec.Template.Spec.Containers {
			for _, port := range c.Ports {
				if port.Name == "" {
					wrong = append(wrong, fmt.Sprintf("%s: port %d has no name", d.Name, port.ContainerPort))
				}
			}
		}
	}
	for _, service := range typedAll[corev1.Service](t, built.ofKind("Service")) {
		for _, port := range service.Spec.Ports {
			protocol, _, _ := strings.Cut(port.Name, "-")
			if !slices.Contains([]string{"http", "http2", "tcp", "udp"}, protocol) {
				wrong = append(wrong, fmt.Sprintf("%s: %q tells Istio no protocol", service.Name, port.Name))
			}
			if !slices.ContainsFunc(deployments, func(d appsv1.Deployment) bool { return offers(d, service.Spec.Selector, port.TargetPort) }) {
				wrong = append(wrong, fmt.Sprintf("%s: no pod has a port %s", service.Name, port.TargetPort.String()))
			}
		}
	}
	return wrong
}

func offers(d appsv1.Deployment, selector map[string]string, port intstr.IntOrString) bool {
	template := d.Spec.Template
	return labels.SelectorFromSet(selector).Matches(labels.Set(template.Labels)) &&
		slices.ContainsFunc(template.Spec.Containers, func(c corev1.Container) bool {
			return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == port.StrVal || p.ContainerPort == port.IntVal })
		})
}

func idleSelectors(t *testing.T, built objects) (wrong []string) {
	var pods []labels.Set
	deployments := typedAll[appsv1.Deployment](t, built.ofKind("Deployment"))
	for _, d := range deployments {
		pods = append(pods, d.Spec.Template.Labels)
	}
	expect := func(object *unstructured.Unstructured, selector *metav1.LabelSelector) {
		s, err := metav1.LabelSelectorAsSelector(selector)
		require.NoError(t, err)
		if !slices.ContainsFunc(pods, func(pod labels.Set) bool { return s.Matches(pod) }) {
			wrong = append(wrong, fmt.Sprintf("%s %s selects no pod by %s", object.GetKind(), object.GetName(), s))
		}
	}
	for _, d := range deployments {
		s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
		require.NoError(t, err)
		if !s.Matches(labels.Set(d.Spec.Template.Labels)) {
			wrong = append(wrong, fmt.Sprintf("Deployment %s does not select its own pods", d.Name))
		}
	}
	for _, object := range built {
		switch object.GetKind() {
		case "Service":
			expect(object, &metav1.LabelSelector{MatchLabels: typed[corev1.Service](t, object).Spec.Selector})
		case "PodDisruptionBudget":
			expect(object, typed[policyv1.PodDisruptionBudget](t, object).Spec.Selector)
		case "NetworkPolicy":
			selector := typed[networkingv1.NetworkPolicy](t, object).Spec.PodSelector
			expect(object, &selector)
		case "AuthorizationPolicy":
			match, _, err := unstructured.NestedStringMap(object.Object, "spec", "selector", "matchLabels")
			require.NoError(t, err)
			expect(object, &metav1.LabelSelector{MatchLabels: match})
		}
	}
	return wrong
}

// unpinnedImages are neither built here (smaran-v2/…:dev) nor in the list of pins.
func unpinnedImages(t *testing.T, built objects) (wrong []string) {
	pinned := pins(t)
	for _, d := range typedAll[appsv1.Deployment](t, built.ofKind("Deployment")) {
		for _, c := range d.Spec.Template.Spec.Containers {
			ours := strings.HasPrefix(c.Image, "smaran-v2/") && strings.HasSuffix(c.Image, ":dev")
			if !ours && !slices.Contains(pinned, c.Image) {
				wrong = append(wrong, fmt.Sprintf("%s: %s", d.Name, c.Image))
			}
		}
	}
	return wrong
}

func pins(t *testing.T) (images []string) {
	t.Helper()
	file, err := os.Open(filepath.Join(deploy, "images.env"))
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if _, image, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(lines.Text(), "#") {
			images = append(images, image)
		}
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, images)
	return images
}

func secrets(_ *testing.T, built objects) (wrong []string) {
	for _, secret := range built.ofKind("Secret") {
		wrong = append(wrong, secret.GetName())
	}
	return wrong
}

func typedAll[T any](t *testing.T, built objects) (all []T) {
	t.Helper()
	for _, object := range built {
		all = append(all, typed[T](t, object))
	}
	return all
}
