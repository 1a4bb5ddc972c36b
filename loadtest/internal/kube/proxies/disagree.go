package proxies

import (
	"fmt"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
)

// Disagree counts the sessions that two proxies with these hosts would send to different pods, by an algorithm that both use.
func Disagree(algorithm affinity.Policy, o affinity.Options, a, b []endpoints.Endpoint, sessions []string) (int, error) {
	hosts := func(set []endpoints.Endpoint) []affinity.Host { return endpoints.Set{Endpoints: set}.Hosts() }
	p, err := affinity.Predict(algorithm, o, hosts(a), hosts(b), sessions)
	if err != nil {
		return 0, fmt.Errorf("compare proxies: %w", err)
	}
	return p.Moved, nil
}
