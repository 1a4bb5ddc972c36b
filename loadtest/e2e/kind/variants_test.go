package kind_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
)

// What clients ask, as curl's arguments; {} is the request's number.
const (
	inference    = " http://" + kube.JarvisService + "/inference"
	oneSession   = "-H 'x-call-session-id: e2e'"
	manySessions = "-H 'x-call-session-id: e2e-{}'"
	sameSession  = oneSession + inference
	anySession   = manySessions + inference
	noSession    = inference
)

// hashed are the variants that hash something else than the session: what keeps requests together there, and what spreads them. The
// plain hash does the opposite with both, and is the control.
var hashed = []struct{ variant, together, apart string }{
	{"hash-by-cookie", manySessions + " -b jarvis-hash=e2e" + inference, oneSession + " -b jarvis-hash=e2e-{}" + inference},
	{"hash-by-query", manySessions + inference + "?session_id=e2e", oneSession + inference + "?session_id=e2e-{}"},
	{"hash-by-source-ip", anySession, ""}, // a client has one address
	// smaran is one client too, whoever it calls for.
	{"hash-by-source-ip", manySessions + " http://" + kube.Smaran + "/inference", ""},
}

// What a variant says it does, it does to the sidecar of a client that is not ours. What the overlay does instead was seen before.
func TestVariantsDoWhatTheySay(t *testing.T) {
	c := connect(t)
	ctx := t.Context()
	plain := append(overlaid(t, "istio-hash", 3), clients(t)...)
	n := take(t, c, plain)
	envoy := sidecar(t, c, debug)
	var bounded bounds
	require.NoError(t, json.Unmarshal([]byte(resilient), &bounded))
	apply := func(t *testing.T, variant string) {
		t.Helper()
		objects, err := manifests.Render(filepath.Join(deploy, "variants", variant))
		require.NoError(t, err)
		// What it adds would stay, and serve: an overlay that is applied takes nothing away.
		t.Cleanup(func() {
			for _, o := range objects {
				if !slices.ContainsFunc(plain, func(p *unstructured.Unstructured) bool {
					return p.GetKind() == o.GetKind() && p.GetName() == o.GetName()
				}) {
					require.NoError(t, c.Remove(ctx, o))
				}
			}
		})
		become(t, n, append(objects, clients(t)...))
	}
	// eventually is once Istio has told the sidecars.
	eventually := func(t *testing.T, so func(*assertT)) {
		t.Helper()
		require.EventuallyWithT(t, so, 3*time.Minute, time.Second)
	}
	pods := func(t *assertT, arguments string) int { return len(podsOf(t, ask(ctx, t, c, debug, arguments))) }
	holds := func(t *assertT) { // the hash on the session
		require.Equal(t, 1, pods(t, sameSession))
		require.Greater(t, pods(t, anySession), 1)
	}

	t.Run("the overlay", func(t *testing.T) {
		eventually(t, func(t *assertT) {
			holds(t)
			for _, h := range hashed {
				require.Greater(t, pods(t, h.together), 1, h.variant)
				if h.apart != "" {
					require.Equal(t, 1, pods(t, h.apart), h.variant)
				}
			}
			require.Empty(t, ask(ctx, t, c, debug, sameSession)[0].cookie)
			refused(t, "400", ask(ctx, t, c, debug, noSession))
			refused(t, "403", ask(ctx, t, c, stranger, sameSession))
			b, err := envoy.Balancing(ctx, envoyadmin.DynamicClusters, jarvisCluster)
			require.NoError(t, err)
			require.Equal(t, envoyadmin.Balancing{Policy: mesh.Ring, RingSize: affinity.DefaultMinRingSize}, b)
			unbounded := boundsOf(ctx, t, envoy)
			require.Zero(t, unbounded.Outlier)
			require.NotEqual(t, bounded.Breakers, unbounded.Breakers)
		})
	})
	for _, h := range hashed {
		t.Run(h.variant, func(t *testing.T) {
			apply(t, h.variant)
			eventually(t, func(t *assertT) {
				require.Equal(t, 1, pods(t, h.together))
				if h.apart != "" {
					require.Greater(t, pods(t, h.apart), 1)
				}
				if h.variant == "hash-by-cookie" {
					require.Contains(t, ask(ctx, t, c, debug, sameSession)[0].cookie, "jarvis-hash=", "who has none is given one")
				}
			})
		})
	}
	t.Run("ring-10240", func(t *testing.T) {
		apply(t, "ring-10240")
		eventually(t, func(t *assertT) {
			holds(t)
			b, err := envoy.Balancing(ctx, envoyadmin.DynamicClusters, jarvisCluster)
			require.NoError(t, err)
			require.Equal(t, envoyadmin.Balancing{Policy: mesh.Ring, RingSize: 10240}, b)
		})
	})
	t.Run("resilient", func(t *testing.T) {
		apply(t, "resilient")
		eventually(t, func(t *assertT) {
			holds(t)
			require.Equal(t, bounded, boundsOf(ctx, t, envoy))
			require.Equal(t, []int{0}, prioritiesOf(ctx, t, envoy))
		})
	})
	t.Run("lenient", func(t *testing.T) {
		apply(t, "lenient")
		eventually(t, func(t *assertT) {
			holds(t)
			require.Greater(t, pods(t, noSession), 1)
		})
	})
	seconds := func(t *assertT, arguments string) (n int) { // answers of version 2
		for _, a := range ask(ctx, t, c, debug, arguments) {
			require.Equal(t, "200", a.code)
			if strings.HasPrefix(a.pod, secondVersion) {
				n++
			}
		}
		return n
	}
	t.Run("canary", func(t *testing.T) {
		apply(t, "canary")
		eventually(t, func(t *assertT) { // of 20 requests none is at version 2 once in eight times
			second := seconds(t, sameSession)
			require.Positive(t, second, "the session does not stay")
			require.Less(t, second, asked/2)
		})
	})
	t.Run("canary-sticky", func(t *testing.T) {
		apply(t, "canary-sticky")
		eventually(t, func(t *assertT) {
			require.Equal(t, asked, seconds(t, throughSmaran(inTenth(true))))
			require.Zero(t, seconds(t, throughSmaran(inTenth(false))))
			require.Zero(t, seconds(t, anySession), "without smaran there is no bucket")
		})
	})
	t.Run("dark-release", func(t *testing.T) {
		apply(t, "dark-release")
		eventually(t, func(t *assertT) {
			require.Equal(t, asked, seconds(t, "-H 'mode: dev' "+anySession))
			require.Zero(t, seconds(t, "-H 'mode: prod' "+anySession))
			require.Zero(t, seconds(t, anySession))
		})
	})
	t.Run("chain", func(t *testing.T) {
		apply(t, "chain")
		eventually(t, func(t *assertT) {
			require.Equal(t, 1, pods(t, throughSmaran("e2e")))
			require.Greater(t, pods(t, throughSmaran("e2e-{}")), 1)
		})
	})
	t.Run("chain-broken", func(t *testing.T) {
		apply(t, "chain-broken")
		eventually(t, func(t *assertT) {
			require.Greater(t, pods(t, throughSmaran("e2e")), 1)
			holds(t) // the mesh is not what lost it
		})
	})
	// Who is not named is refused by the policy, and by nothing else.
	t.Run("authorization", func(t *testing.T) {
		become(t, n, slices.DeleteFunc(slices.Clone(plain), func(o *unstructured.Unstructured) bool { return o.GetKind() == "AuthorizationPolicy" }))
		eventually(t, func(t *assertT) { require.Len(t, podsOf(t, ask(ctx, t, c, stranger, sameSession)), 1) })
		become(t, n, plain)
		eventually(t, func(t *assertT) {
			refused(t, "403", ask(ctx, t, c, stranger, sameSession))
			require.Equal(t, 1, pods(t, sameSession))
		})
	})
}

// secondVersion begins the names of the second version's pods.
const secondVersion = "jarvis-v2-"

func throughSmaran(id string) string {
	return "-H 'x-call-session-id: " + id + "' http://" + kube.Smaran + "/inference"
}

// inTenth is a session whose bucket is below ten, or is not.
func inTenth(is bool) string {
	for i := 0; ; i++ {
		if id := session.ID(fmt.Sprintf("canary-%d", i)); id.Bucket() < session.Buckets/10 == is {
			return string(id)
		}
	}
}

// jarvisCluster is what Envoy calls jarvis-service.
var jarvisCluster = proxies.Outbound(kube.JarvisService, kube.Namespace, kube.ServicePort)

// bounds are those of Envoy's configuration of a cluster that the variant resilient sets.
type bounds struct {
	Connect string `json:"connect_timeout"`
	Outlier struct {
		Errors   int    `json:"consecutive_5xx"`
		Interval string `json:"interval"`
		Ejection string `json:"base_ejection_time"`
		Share    int    `json:"max_ejection_percent"`
	} `json:"outlier_detection"`
	Breakers struct {
		Thresholds []struct {
			Connections int `json:"max_connections"`
			Pending     int `json:"max_pending_requests"`
			Requests    int `json:"max_requests"`
			Retries     int `json:"max_retries"`
		} `json:"thresholds"`
	} `json:"circuit_breakers"`
}

const resilient = `{"connect_timeout":"1s",
	"outlier_detection":{"consecutive_5xx":5,"interval":"5s","base_ejection_time":"15s","max_ejection_percent":34},
	"circuit_breakers":{"thresholds":[{"max_connections":1000,"max_pending_requests":1000,"max_requests":1000,"max_retries":10}]}}`

func boundsOf(ctx context.Context, t *assertT, envoy envoyadmin.Admin) bounds {
	var dump struct {
		Configs []struct{ Cluster bounds }
	}
	require.NoError(t, envoy.Dump(ctx, envoyadmin.DynamicClusters, jarvisCluster, &dump))
	require.Len(t, dump.Configs, 1)
	return dump.Configs[0].Cluster
}

// prioritiesOf are those that jarvis' pods have. A zone before others would be a second one; where all pods are in one zone, as on a single
// node, that can't be told from localityLbSetting being off.
func prioritiesOf(ctx context.Context, t *assertT, envoy envoyadmin.Admin) (out []int) {
	var dump struct {
		Configs []struct {
			Config struct {
				Endpoints []struct{ Priority int }
			} `json:"endpoint_config"`
		}
	}
	require.NoError(t, envoy.Dump(ctx, "dynamic_endpoint_configs", jarvisCluster, &dump))
	require.Len(t, dump.Configs, 1)
	for _, zone := range dump.Configs[0].Config.Endpoints {
		out = append(out, zone.Priority)
	}
	return slices.Compact(out)
}
