package manifests_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/smaran-v2/smaran/services/turn"
)

// operator is what deploy/istio/operator.yaml says, as far as it is looked at here.
type operator struct {
	Spec struct {
		Components struct {
			IngressGateways []struct {
				K8s struct {
					Resources resources
					Service   struct{ Ports []struct{ NodePort int } }
				}
			}
		}
		Values struct {
			Pilot  struct{ Resources resources }
			Global struct{ Proxy struct{ Resources resources } }
		}
	}
}

type resources struct {
	Requests struct{ CPU, Memory resource.Quantity }
}

func readYAML[T any](t *testing.T, name string) T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, name))
	require.NoError(t, err)
	var out T
	require.NoError(t, yaml.Unmarshal(text, &out))
	return out
}

// What kubeadm's and kind's own pods request: API server 250m, controllers 200m, scheduler and etcd 100m each, two CoreDNS 100m and
// 70Mi each, kindnet 100m and 50Mi, etcd 100Mi.
const nodeCPU, nodeMemory = "950m", "290Mi"

// TestTenPodsFitASmallNode: and one more, as a rollout surges by one, besides the walk-through's pod and the stage's, in 2 CPUs and 8 GiB.
func TestTenPodsFitASmallNode(t *testing.T) {
	const pods = 10 + 1
	istio := readYAML[operator](t, "istio/operator.yaml").Spec
	cpu, memory := resource.MustParse(nodeCPU), resource.MustParse(nodeMemory)
	add := func(c, m resource.Quantity, times int) {
		for range times {
			cpu.Add(c)
			memory.Add(m)
		}
	}
	require.Len(t, istio.Components.IngressGateways, 1)
	for _, r := range []resources{istio.Values.Pilot.Resources, istio.Components.IngressGateways[0].K8s.Resources} {
		require.NotZero(t, r.Requests.CPU.MilliValue())
		add(r.Requests.CPU, r.Requests.Memory, 1)
	}
	sidecar := istio.Values.Global.Proxy.Resources.Requests
	for _, d := range typedAll[appsv1.Deployment](t, with(t, "istio-hash", "debug", "stage-controls").ofKind("Deployment")) {
		times := int(*d.Spec.Replicas)
		if d.Name == "jarvis" {
			times = pods
		}
		template := d.Spec.Template
		// The annotation holds also where Istio was installed by other means.
		require.Equal(t, sidecar.CPU.String(), template.Annotations["sidecar.istio.io/proxyCPU"], d.Name)
		require.Equal(t, sidecar.Memory.String(), template.Annotations["sidecar.istio.io/proxyMemory"], d.Name)
		add(sidecar.CPU, sidecar.Memory, times)
		for _, c := range template.Spec.Containers {
			require.NotZero(t, c.Resources.Requests.Cpu().MilliValue(), d.Name)
			require.NotZero(t, c.Resources.Limits.Memory().Value(), d.Name)
			add(*c.Resources.Requests.Cpu(), *c.Resources.Requests.Memory(), times)
		}
	}
	t.Logf("requested: %s CPU, %s memory", cpu.String(), memory.String())
	require.LessOrEqual(t, cpu.MilliValue(), int64(2000))
	require.LessOrEqual(t, memory.Value(), int64(8<<30))
}

// TestTheGatewayAndTheRelayAreMapped: kind maps the ports that they have, and with the same numbers outside; and callers are told of the relay's.
func TestTheGatewayAndTheRelayAreMapped(t *testing.T) {
	kind := readYAML[struct {
		Nodes []struct {
			ExtraPortMappings []struct {
				ContainerPort, HostPort int
				ListenAddress, Protocol string
			}
		}
	}](t, "kind/cluster.yaml")
	mapped := map[int][]string{}
	for _, m := range kind.Nodes[0].ExtraPortMappings {
		require.Equal(t, m.ContainerPort, m.HostPort)
		require.Equal(t, "127.0.0.1", m.ListenAddress)
		mapped[m.HostPort] = append(mapped[m.HostPort], m.Protocol)
	}
	var gateway []int
	for _, port := range readYAML[operator](t, "istio/operator.yaml").Spec.Components.IngressGateways[0].K8s.Service.Ports {
		if port.NodePort != 0 {
			gateway = append(gateway, port.NodePort)
		}
	}
	require.Len(t, gateway, 1)
	require.Equal(t, []string{"TCP"}, mapped[gateway[0]])
	delete(mapped, gateway[0])

	stage := with(t, "istio-hash", "stage")
	relay := map[int][]string{}
	var urls []string
	for _, port := range typed[corev1.Service](t, stage.named(t, "Service", "turn")).Spec.Ports {
		protocol := string(cmp.Or(port.Protocol, corev1.ProtocolTCP))
		relay[int(port.NodePort)] = append(relay[int(port.NodePort)], protocol)
		urls = append(urls, fmt.Sprintf("turn:127.0.0.1:%d?transport=%s", port.NodePort, strings.ToLower(protocol)))
	}
	require.Equal(t, mapped, relay)
	told := typed[corev1.ConfigMap](t, stage.named(t, "ConfigMap", "relay"))
	require.ElementsMatch(t, urls, strings.Split(told.Data["urls"], ","))
}

// TestTheRelayWaitsForItsCalls: within the time that a pod has to end.
func TestTheRelayWaitsForItsCalls(t *testing.T) {
	stage := with(t, "istio-hash", "stage")
	grace := duration(t, environment(t, stage, "turn")[turn.EnvPrefix+"SHUTDOWN_GRACE"])
	pod := typed[appsv1.Deployment](t, stage.named(t, "Deployment", "turn")).Spec.Template.Spec
	require.Less(t, grace, time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second)
}

// TestTheStageChangesNothingUnlessItMay: its rights are those of its component, and no more than the stage asks for (package cluster).
func TestTheStageChangesNothingUnlessItMay(t *testing.T) {
	verbs := func(built objects) (all []string) {
		for _, role := range typedAll[rbacv1.Role](t, built.ofKind("Role")) {
			if strings.HasPrefix(role.Name, "stage") {
				for _, rule := range role.Rules {
					for _, verb := range rule.Verbs {
						all = append(all, verb+" "+strings.Join(rule.Resources, ",")+" "+strings.Join(rule.ResourceNames, ","))
					}
				}
			}
		}
		return all
	}
	looks := []string{"list pods ", "watch pods ", "list endpointslices ", "watch endpointslices ", "get deployments jarvis"}
	require.ElementsMatch(t, looks, verbs(with(t, "istio-hash", "stage")))
	changes := []string{"patch deployments/scale jarvis,redis", "patch deployments jarvis", "get deployments smaran-v2", "delete pods "}
	require.ElementsMatch(t, append(changes, looks...), verbs(with(t, "istio-hash", "stage-controls")))
}
