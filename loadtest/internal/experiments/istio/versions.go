package istio

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
)

// The versions of jarvis in deploy/components/features/versions, and the second's Deployment.
const (
	firstVersion  = "v1"
	secondVersion = "v2"
	jarvisSecond  = "jarvis-v2"
)

// versions of the pods that there are, by name.
func (n *namespace) versions() map[string]string {
	out := map[string]string{}
	for _, p := range n.view.Now().Pods {
		out[p.Name] = p.Labels[versionLabel]
	}
	return out
}

// subset is how Envoy's names of clusters say one.
func subset(version string) string { return fmt.Sprintf("|%d|%s|", kube.ServicePort, version) }

// routed puts jarvis-service under the routes of a feature of the manifests, and waits until the sidecars of clients have them: a text that
// stands in these routes alone.
func (n *namespace) routed(ctx context.Context, feature, text string, clients ...string) error {
	err := n.tell(ctx, "istio-hash", []string{feature}, "Service "+kube.JarvisService, "DestinationRule "+jarvisRule, "VirtualService "+jarvisRouting)
	if err != nil {
		return err
	}
	for _, client := range clients {
		pod, err := n.pod(client)
		if err != nil {
			return err
		}
		err = n.until(ctx, fmt.Sprintf("the sidecar of %s to have the routes of %s", client, feature), func(ctx context.Context) (bool, error) {
			var routes json.RawMessage
			err := n.http(ctx, pod.Name, proxies.AdminPort, http.MethodGet, "/config_dump?resource=dynamic_route_configs", nil, &routes)
			return bytes.Contains(routes, []byte(text)), err
		})
		if err != nil {
			return err
		}
	}
	return n.answers(ctx, clients[0], kube.JarvisService)
}

// shared is how many of some requests, or sessions, one of two versions had.
type shared struct{ part, all int }

// at counts the good answers of a version, and those that were not good.
func at(version string, answers []probe.Answer, versions map[string]string) (s shared, failed int) {
	for _, a := range answers {
		if !a.OK() {
			failed++
			continue
		}
		s.all++
		if versions[a.Pod] == version {
			s.part++
		}
	}
	return s, failed
}

func (s shared) share() float64 {
	if s.all == 0 {
		return 0
	}
	return float64(s.part) / float64(s.all)
}

// may is whether the 95% interval of the share holds a value.
func (s shared) may(value float64) bool {
	low, high := claims.Interval(uint64(s.part), uint64(s.all))
	return low <= value && value <= high
}

func (s shared) String() string {
	low, high := claims.Interval(uint64(s.part), uint64(s.all))
	return fmt.Sprintf("%s of %d (95%%: %s to %s)", percent(s.share()), s.all, percent(low), percent(high))
}
