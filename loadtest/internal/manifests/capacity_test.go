package manifests_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
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

// TestTenPodsFitASmallNode: and one more, as a rollout surges by one, besides the walk-through's pod, in 2 CPUs and 8 GiB.
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
	for _, d := range typedAll[appsv1.Deployment](t, with(t, "istio-hash", "debug").ofKind("Deployment")) {
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

// TestTheGatewayIsMapped: kind maps the port that the gateway has, and with the same number outside.
func TestTheGatewayIsMapped(t *testing.T) {
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
	require.Len(t, mapped, 1, "the relay's")
	for _, protocols := range mapped {
		require.ElementsMatch(t, []string{"UDP", "TCP"}, protocols)
	}
}
