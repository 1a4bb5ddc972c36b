package proxies

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
)

// AdminPort is where Istio has Envoy's admin API, on the pod's localhost.
const AdminPort = 15000

// askTime bounds one question.
const askTime = 10 * time.Second

// Proxy is one Envoy. Close it after use.
type Proxy struct {
	// Name of its pod.
	Name  string
	admin envoyadmin.Admin
}

// New is a proxy whose admin port dial reaches.
func New(name string, dial func(context.Context) (net.Conn, error)) *Proxy {
	return &Proxy{Name: name, admin: envoyadmin.Admin{Base: "http://envoy", HTTP: &http.Client{
		Timeout: askTime,
		Transport: &http.Transport{
			DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			MaxConnsPerHost: 1, // one forwarded connection, used again
		},
	}}}
}

// Close ends the connection to the proxy.
func (p *Proxy) Close() { p.admin.HTTP.CloseIdleConnections() }

// Outbound is the name that Istio gives the cluster of a Service's port.
func Outbound(service, namespace string, port int) string {
	return fmt.Sprintf("outbound|%d||%s.%s.svc.cluster.local", port, service, namespace)
}

// named says of which proxy an error is.
func (p *Proxy) named(err error) error {
	if err != nil {
		return fmt.Errorf("proxy %s: %w", p.Name, err)
	}
	return nil
}

// Version is Envoy's own, such as 1.39.3. It fails with envoyadmin.ErrAdmin, as all questions do.
func (p *Proxy) Version(ctx context.Context) (string, error) {
	version, err := p.admin.Version(ctx)
	return version, p.named(err)
}

// Hosts are what the proxy has for a cluster, from EDS, in its order. It fails with envoyadmin.ErrNoCluster.
func (p *Proxy) Hosts(ctx context.Context, cluster string) ([]endpoints.Endpoint, error) {
	hosts, err := p.admin.Discovered(ctx, cluster)
	return hosts, p.named(err)
}

// Balancing of a cluster. It does not look at stateful sessions. It fails with envoyadmin.ErrNoCluster.
func (p *Proxy) Balancing(ctx context.Context, cluster string) (envoyadmin.Balancing, error) {
	b, err := p.admin.Balancing(ctx, envoyadmin.DynamicClusters, cluster)
	return b, p.named(err)
}

// Stateful is which stateful session, if any, the proxy applies to the virtual hosts of a host name: mesh.StatefulByCookie,
// mesh.StatefulByHeader, or "".
func (p *Proxy) Stateful(ctx context.Context, routes, host string) (mesh.Policy, error) {
	var dump struct {
		Configs []struct {
			Routes struct {
				Hosts []json.RawMessage `json:"virtual_hosts"`
			} `json:"route_config"`
		} `json:"configs"`
	}
	if err := p.admin.Dump(ctx, "dynamic_route_configs", routes, &dump); err != nil {
		return "", p.named(err)
	}
	for _, config := range dump.Configs {
		for _, raw := range config.Routes.Hosts {
			var named struct {
				Name string `json:"name"`
			}
			if json.Unmarshal(raw, &named) != nil || !strings.HasPrefix(named.Name, host+":") && named.Name != host {
				continue
			}
			switch text := string(raw); {
			case strings.Contains(text, "CookieBasedSessionState"):
				return mesh.StatefulByCookie, nil
			case strings.Contains(text, "HeaderBasedSessionState"):
				return mesh.StatefulByHeader, nil
			}
		}
	}
	return "", nil
}
