package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/smaran-v2/smaran/services/endpoints"
)

const (
	// envoyTimeout bounds one question: Envoy answers from memory.
	envoyTimeout = time.Second
	// maxAnswer bounds an answer of Envoy, in bytes.
	maxAnswer = 16 << 20
)

// envoy is an Envoy's admin interface.
type envoy struct {
	client *http.Client
	base   string
}

func (e *envoy) get(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, envoyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvoy, err)
	}
	res, err := e.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvoy, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrEnvoy, path, err)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: %s: %s", ErrEnvoy, path, res.Status)
	}
	return raw, nil
}

// hosts is the health of each host of the pods' cluster, by ip:port, as Envoy's balancers see it.
func (e *envoy) hosts(ctx context.Context) (map[string]endpoints.Health, error) {
	raw, err := e.get(ctx, "/clusters?format=json")
	if err != nil {
		return nil, err
	}
	var said clusters
	if err := json.Unmarshal(raw, &said); err != nil {
		return nil, fmt.Errorf("%w: /clusters: %w", ErrEnvoy, err)
	}
	for _, c := range said.Statuses {
		if c.Name != endpoints.ClusterName {
			continue
		}
		out := make(map[string]endpoints.Health, len(c.Hosts))
		for _, h := range c.Hosts {
			out[net.JoinHostPort(h.Address.Socket.Address, strconv.Itoa(h.Address.Socket.Port))] = h.Health.status()
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: no cluster %q", ErrEnvoy, endpoints.ClusterName)
}

// clusters is what is needed of envoy.admin.v3.Clusters. The generated type would bring all of Envoy's configuration into the program,
// some megabytes.
type clusters struct {
	Statuses []struct {
		Name  string `json:"name"`
		Hosts []struct {
			Address struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"address"`
			Health health `json:"health_status"`
		} `json:"host_statuses"`
	} `json:"cluster_statuses"`
}

// health is what is needed of envoy.admin.v3.HostHealthStatus.
type health struct {
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
func (h health) status() endpoints.Health {
	eds := endpoints.Health(corev3.HealthStatus_value[h.EDS])
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

// balancer is how the pods' cluster chooses.
type balancer struct {
	Policy   string `json:"lb_policy"`
	RingHash struct {
		Minimum json.Number `json:"minimum_ring_size"`
	} `json:"ring_hash_lb_config"`
}

// balancer reads the cluster's configuration as Envoy runs it.
func (e *envoy) balancer(ctx context.Context) (balancer, error) {
	raw, err := e.get(ctx, "/config_dump?resource=static_clusters")
	if err != nil {
		return balancer{}, err
	}
	var dump struct {
		Configs []struct {
			Cluster struct {
				Name string `json:"name"`
				balancer
			} `json:"cluster"`
		} `json:"configs"`
	}
	if err := json.Unmarshal(raw, &dump); err != nil {
		return balancer{}, fmt.Errorf("%w: /config_dump: %w", ErrEnvoy, err)
	}
	for _, c := range dump.Configs {
		if c.Cluster.Name == endpoints.ClusterName {
			return c.Cluster.balancer, nil
		}
	}
	return balancer{}, fmt.Errorf("%w: no static cluster %q", ErrEnvoy, endpoints.ClusterName)
}

// version is Envoy's, such as 1.39.3.
func (e *envoy) version(ctx context.Context) (string, error) {
	raw, err := e.get(ctx, "/server_info")
	if err != nil {
		return "", err
	}
	var info struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(raw, &info); err != nil {
		return "", fmt.Errorf("%w: /server_info: %w", ErrEnvoy, err)
	}
	// revision/version/…
	parts := strings.Split(info.Version, "/")
	if len(parts) < 2 {
		return "", fmt.Errorf("%w: /server_info: version is %q, expected revision/version/…", ErrEnvoy, info.Version)
	}
	return parts[1], nil
}
