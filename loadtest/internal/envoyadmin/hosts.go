package envoyadmin

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/smaran-v2/smaran/services/endpoints"
)

// dynamicEndpoints is what EDS said.
const dynamicEndpoints = "dynamic_endpoint_configs"

// address is what is needed of envoy.config.core.v3.Address.
type address struct {
	Socket struct {
		Address string `json:"address"`
		Port    uint16 `json:"port_value"`
	} `json:"socket_address"`
}

func (a address) String() string {
	return net.JoinHostPort(a.Socket.Address, strconv.Itoa(int(a.Socket.Port)))
}

// health of one of the names of envoy.config.core.v3.HealthStatus. The default is left out; one that is not known is no host to send to.
func health(name string) endpoints.Health {
	if name == "" {
		return endpoints.Unknown
	}
	if value, known := corev3.HealthStatus_value[name]; known {
		return endpoints.Health(value)
	}
	return endpoints.Unhealthy
}

// Hosts are those of a cluster as its balancers see them, after health checks and outlier detection, in Envoy's order. It fails with
// ErrNoCluster.
func (a Admin) Hosts(ctx context.Context, cluster string) ([]endpoints.Endpoint, error) {
	var said struct {
		Statuses []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Address address    `json:"address"`
				Health  hostHealth `json:"health_status"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if err := a.ask(ctx, "/clusters", url.Values{"format": {"json"}}, &said); err != nil {
		return nil, err
	}
	for _, c := range said.Statuses {
		if c.Name != cluster {
			continue
		}
		out := make([]endpoints.Endpoint, 0, len(c.Hosts))
		for _, h := range c.Hosts {
			out = append(out, endpoints.Endpoint{Address: h.Address.String(), Health: h.Health.status()})
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNoCluster, cluster)
}

// Discovered are the hosts of a cluster as EDS told them to Envoy, in its order. It fails with ErrNoCluster.
func (a Admin) Discovered(ctx context.Context, cluster string) ([]endpoints.Endpoint, error) {
	var dump struct {
		Configs []struct {
			Config struct {
				Endpoints []struct {
					LB []struct {
						Endpoint struct {
							Address address `json:"address"`
						} `json:"endpoint"`
						Health string `json:"health_status"`
					} `json:"lb_endpoints"`
				} `json:"endpoints"`
			} `json:"endpoint_config"`
		} `json:"configs"`
	}
	if err := a.Dump(ctx, dynamicEndpoints, cluster, &dump); err != nil {
		return nil, err
	}
	if len(dump.Configs) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoCluster, cluster)
	}
	var out []endpoints.Endpoint
	for _, locality := range dump.Configs[0].Config.Endpoints {
		for _, e := range locality.LB {
			if at := e.Endpoint.Address.Socket.Address; net.ParseIP(at) == nil {
				return nil, fmt.Errorf("%w: %s: a host at %q, expected an IP address", ErrAdmin, cluster, at)
			}
			out = append(out, endpoints.Endpoint{Address: e.Endpoint.Address.String(), Health: health(e.Health)})
		}
	}
	return out, nil
}

// hostHealth is what is needed of envoy.admin.v3.HostHealthStatus.
type hostHealth struct {
	FailedActive   bool   `json:"failed_active_health_check"`
	FailedOutlier  bool   `json:"failed_outlier_check"`
	FailedAtOnce   bool   `json:"excluded_via_immediate_hc_fail"`
	PendingActive  bool   `json:"pending_active_hc"`
	DegradedActive bool   `json:"failed_active_degraded_check"`
	EDS            string `json:"eds_health_status"`
}

// status is what HostImplBase::coarseHealth in Envoy's upstream_impl.h makes of the flags: a failed check takes the host out. One whose
// check says that it is degraded is a pod that drains (wire.HeaderEnvoyDegraded). A host that DNS no longer names stays for as long
// as its checks are good.
func (h hostHealth) status() endpoints.Health {
	eds := health(h.EDS)
	switch {
	case h.FailedActive, h.FailedOutlier, h.FailedAtOnce, h.PendingActive:
		return endpoints.Unhealthy
	case h.DegradedActive:
		return endpoints.Draining
	case eds == endpoints.Unknown:
		return endpoints.Healthy
	default:
		return eds
	}
}
