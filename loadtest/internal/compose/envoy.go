package compose

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/envoyadmin"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
)

// envoyTimeout bounds one question: Envoy answers from memory.
const envoyTimeout = time.Second

// envoy is the project's: its file has the pods as one static cluster.
type envoy struct{ admin envoyadmin.Admin }

// envoyAt asks over a client's connections.
func envoyAt(address string, client *http.Client) envoy {
	return envoy{envoyadmin.Admin{Base: "http://" + address, HTTP: &http.Client{Transport: client.Transport, Timeout: envoyTimeout}}}
}

// hosts is the health of each pod, by ip:port, as Envoy's balancers see it.
func (e envoy) hosts(ctx context.Context) (map[string]endpoints.Health, error) {
	list, err := e.admin.Hosts(ctx, endpoints.ClusterName)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvoy, err)
	}
	out := make(map[string]endpoints.Health, len(list))
	for _, h := range list {
		out[h.Address] = h.Health
	}
	return out, nil
}

// balances fails with ErrEnvoy where Envoy does not balance as the policy says. It returns the size of its ring, 0 without one.
func (e envoy) balances(ctx context.Context, p mesh.Policy) (ringSize uint64, err error) {
	b, err := e.admin.Balancing(ctx, envoyadmin.StaticClusters, endpoints.ClusterName)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrEnvoy, err)
	}
	if want := envoyadmin.Below(p); b.Policy != want {
		return 0, fmt.Errorf("%w: it balances by %s, but policy %s wants %s: the configuration that it was started with is not the driver's",
			ErrEnvoy, b.Policy, p, want)
	}
	return b.RingSize, nil
}

func (e envoy) version(ctx context.Context) (string, error) {
	version, err := e.admin.Version(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrEnvoy, err)
	}
	return version, nil
}
