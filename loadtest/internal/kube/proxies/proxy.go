package proxies

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
)

// AdminPort is where Istio has Envoy's admin API, on the pod's localhost.
const AdminPort = 15000

// Errors of a proxy; they come wrapped with the proxy's name.
var (
	// ErrAdmin is returned where the admin API can't be asked, or says what is not understood.
	ErrAdmin = errors.New("ask the proxy")
	// ErrNoCluster is returned where the proxy has not heard of the Service.
	ErrNoCluster = errors.New("the proxy does not know the Service")
)

// askTime bounds one question.
const askTime = 10 * time.Second

// Proxy is one Envoy. Close it after use.
type Proxy struct {
	// Name of its pod.
	Name string
	http *http.Client
}

// New is a proxy whose admin port dial reaches.
func New(name string, dial func(context.Context) (net.Conn, error)) *Proxy {
	return &Proxy{Name: name, http: &http.Client{
		Timeout: askTime,
		Transport: &http.Transport{
			DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			MaxConnsPerHost: 1, // one forwarded connection, used again
		},
	}}
}

// Close ends the connection to the proxy.
func (p *Proxy) Close() { p.http.CloseIdleConnections() }

// Outbound is the name that Istio gives the cluster of a Service's port.
func Outbound(service, namespace string, port int) string {
	return fmt.Sprintf("outbound|%d||%s.%s.svc.cluster.local", port, service, namespace)
}

// ask decodes the JSON that the admin API answers.
func (p *Proxy) ask(ctx context.Context, path string, query url.Values, into any) error {
	target := url.URL{Scheme: "http", Host: "envoy", Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return fmt.Errorf("%w %s: %w", ErrAdmin, p.Name, err)
	}
	res, err := p.http.Do(r)
	if err != nil {
		return fmt.Errorf("%w %s: %w", ErrAdmin, p.Name, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 512))
		return fmt.Errorf("%w %s: %s: %s: %s", ErrAdmin, p.Name, path, res.Status, strings.TrimSpace(string(said)))
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return fmt.Errorf("%w %s: %s: %w", ErrAdmin, p.Name, path, err)
	}
	return nil
}

// dump asks for part of the configuration (/config_dump, config_dump_shared.proto).
func (p *Proxy) dump(ctx context.Context, resource, name string, into any) error {
	q := url.Values{"resource": {resource}, "name_regex": {"^" + regexp.QuoteMeta(name) + "$"}}
	if resource == "dynamic_endpoint_configs" {
		q.Set("include_eds", "")
	}
	return p.ask(ctx, "/config_dump", q, into)
}

// Version is Envoy's own, such as 1.39.3.
func (p *Proxy) Version(ctx context.Context) (string, error) {
	var info struct {
		Version string `json:"version"`
	}
	if err := p.ask(ctx, "/server_info", nil, &info); err != nil {
		return "", err
	}
	// revision/version/status/type/TLS library
	if parts := strings.Split(info.Version, "/"); len(parts) > 1 {
		return parts[1], nil
	}
	return info.Version, nil
}

// Hosts are what the proxy has for a cluster, from EDS, in its order. It fails with ErrNoCluster.
func (p *Proxy) Hosts(ctx context.Context, cluster string) ([]endpoints.Endpoint, error) {
	var dump struct {
		Configs []struct {
			Config struct {
				Endpoints []struct {
					LB []struct {
						Endpoint struct {
							Address struct {
								Socket struct {
									Address string `json:"address"`
									Port    uint16 `json:"port_value"`
								} `json:"socket_address"`
							} `json:"address"`
						} `json:"endpoint"`
						Health string `json:"health_status"`
					} `json:"lb_endpoints"`
				} `json:"endpoints"`
			} `json:"endpoint_config"`
		} `json:"configs"`
	}
	if err := p.dump(ctx, "dynamic_endpoint_configs", cluster, &dump); err != nil {
		return nil, err
	}
	if len(dump.Configs) == 0 {
		return nil, fmt.Errorf("%w: %s: %s", ErrNoCluster, p.Name, cluster)
	}
	var out []endpoints.Endpoint
	for _, locality := range dump.Configs[0].Config.Endpoints {
		for _, e := range locality.LB {
			ip, err := netip.ParseAddr(e.Endpoint.Address.Socket.Address)
			if err != nil {
				return nil, fmt.Errorf("%w %s: %s: %w", ErrAdmin, p.Name, cluster, err)
			}
			out = append(out, endpoints.Endpoint{
				Address: netip.AddrPortFrom(ip, e.Endpoint.Address.Socket.Port).String(), Health: health(e.Health),
			})
		}
	}
	return out, nil
}

func health(name string) endpoints.Health {
	for _, h := range []endpoints.Health{endpoints.Unknown, endpoints.Healthy, endpoints.Draining, endpoints.Degraded} {
		if h.String() == name {
			return h
		}
	}
	return endpoints.Unhealthy
}

// Balancing is how a proxy chooses among a cluster's hosts.
type Balancing struct {
	Policy mesh.Policy
	// RingSize is minimum_ring_size; 0 without a ring.
	RingSize uint64
}

// Balancing of a cluster. It does not look at stateful sessions. It fails with ErrNoCluster.
func (p *Proxy) Balancing(ctx context.Context, cluster string) (Balancing, error) {
	var dump struct {
		Configs []struct {
			Cluster struct {
				Policy string `json:"lb_policy"`
				Ring   struct {
					Minimum uint64 `json:"minimum_ring_size,string"`
				} `json:"ring_hash_lb_config"`
			} `json:"cluster"`
		} `json:"configs"`
	}
	if err := p.dump(ctx, "dynamic_active_clusters", cluster, &dump); err != nil {
		return Balancing{}, err
	}
	if len(dump.Configs) == 0 {
		return Balancing{}, fmt.Errorf("%w: %s: %s", ErrNoCluster, p.Name, cluster)
	}
	c := dump.Configs[0].Cluster
	switch c.Policy {
	case "", "ROUND_ROBIN": // the field's default is left out
		return Balancing{Policy: mesh.RoundRobin}, nil
	case "RING_HASH":
		return Balancing{Policy: mesh.Ring, RingSize: cmp.Or(c.Ring.Minimum, affinity.DefaultMinRingSize)}, nil
	default:
		return Balancing{Policy: mesh.Policy(strings.ToLower(c.Policy))}, nil
	}
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
	if err := p.dump(ctx, "dynamic_route_configs", routes, &dump); err != nil {
		return "", err
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
