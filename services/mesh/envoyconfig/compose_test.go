package envoyconfig_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/discovery/dns"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/mesh/envoyconfig"
)

var update = flag.Bool("update", false, "write the golden files, and the Envoys of docker compose")

// composed is where docker compose takes its Envoys' bootstraps from, one a policy.
var composed = filepath.Join("..", "..", "..", "deploy", "compose", "envoy")

// compose is the Envoy of docker compose: its addresses are a container's own.
func compose(t *testing.T, policy mesh.Policy) []byte {
	t.Helper()
	o := options(t, policy)
	o.Listen, o.Admin = ":8081", ":9091"
	bootstrap, err := envoyconfig.BootstrapDNS(o, dns.Name{Host: "jarvis", Port: 8080, Admin: 9090})
	require.NoError(t, err)
	return bootstrap
}

func TestComposeHasWhatIsRendered(t *testing.T) {
	for _, policy := range []mesh.Policy{mesh.RoundRobin, mesh.Ring, mesh.Maglev, mesh.StatefulByHeader, mesh.StatefulByCookie} {
		t.Run(string(policy), func(t *testing.T) {
			path, got := filepath.Join(composed, string(policy)+".json"), compose(t, policy)
			if *update {
				require.NoError(t, os.WriteFile(path, got, 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err, "write it: make generate")
			require.Empty(t, cmp.Diff(string(want), string(got)), "stale: make generate")
		})
	}
}
