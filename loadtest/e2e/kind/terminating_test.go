package kind_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/services/wire"
)

// What a pod of this test has before it hears SIGTERM: long enough to see who still reaches it.
const (
	lingers = 30
	grace   = lingers + 20
)

// Istio keeps a pod that terminates in reach of tokens by cookie, and not of those by header: the session of such a one moves as soon as its
// pod is deleted. Who has no token goes elsewhere under both, at once.
func TestATokenByCookieHoldsWhileItsPodTerminates(t *testing.T) {
	c := connect(t)
	for _, mode := range []struct {
		overlay string
		// token takes the request header with the token out of a reply's headers.
		token string
		holds bool
	}{
		{"stateful-cookie", `sed -n 's/^set-cookie: \([^;]*\).*/cookie: \1/p'`, true},
		{"stateful-header", fmt.Sprintf(`sed -n 's/^%s: /&/Ip'`, wire.HeaderStateful), false},
	} {
		t.Run(mode.overlay, func(t *testing.T) {
			ctx := t.Context()
			objects := append(overlaid(t, mode.overlay, 3), clients(t)...)
			lingering(t, objects)
			take(t, c, objects)
			var token string
			require.EventuallyWithT(t, func(t *assertT) { // once the sidecar has the filter
				said, err := shell(ctx, t, c, debug, `curl --silent --max-time 10 --dump-header - --output /dev/null `+
					sameSession+` | tr -d '\r' | `+mode.token+` | tr -d '\n'`)
				require.NoError(t, err)
				require.NotEmpty(t, said)
				token = said
			}, 3*time.Minute, time.Second)
			tokened := fmt.Sprintf("-H '%s' ", token) + sameSession
			served := func(t require.TestingT, arguments string) map[string]bool {
				return podsOf(t, ask(ctx, t, c, debug, arguments))
			}
			before := served(t, tokened)
			require.Len(t, before, 1, "a token holds")
			holder := slices.Collect(maps.Keys(before))[0]

			require.NoError(t, cluster.Pods().Delete(ctx, c, kube.Namespace, holder, -1))
			require.EventuallyWithT(t, func(t *assertT) {
				require.NotContains(t, served(t, anySession), holder, "without a token")
				if mode.holds {
					require.Equal(t, before, served(t, tokened), "with one")
				} else {
					require.NotContains(t, served(t, tokened), holder, "with one")
				}
				p, err := cluster.Pods().Get(ctx, c, kube.Namespace, holder)
				require.NoError(t, err, "it is there yet")
				require.NotNil(t, p.DeletionTimestamp)
			}, (lingers-10)*time.Second, time.Second)
		})
	}
}

// lingering has jarvis take its time.
func lingering(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() != "Deployment" || o.GetName() != kube.Jarvis {
			continue
		}
		set(t, o, int64(grace), "spec", "template", "spec", "terminationGracePeriodSeconds")
		containers, _, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
		require.NoError(t, err)
		jarvis := containers[0].(map[string]any)
		require.Equal(t, kube.Jarvis, jarvis["name"])
		jarvis["lifecycle"] = map[string]any{"preStop": map[string]any{"sleep": map[string]any{"seconds": int64(lingers)}}}
		require.NoError(t, unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers"))
	}
}
