package envoyconfig_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/discovery/dns"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/mesh/envoyconfig"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

var update = flag.Bool("update", false, "write the golden files, and the Envoys of docker compose")

// composed is what docker-compose.yaml takes from here: Envoy's bootstrap, one a policy, and the variables and bootstrap that suit a
// backend.
var composed = filepath.Join("..", "..", "..", "deploy", "compose")

// compose is the Envoy of docker compose: its addresses are a container's own.
func compose(t *testing.T, policy mesh.Policy) []byte {
	t.Helper()
	o := options(t, policy)
	o.Listen, o.Admin = ":8081", ":9091"
	bootstrap, err := envoyconfig.BootstrapDNS(o, dns.Name{Host: "jarvis", Port: 8080, Admin: 9090})
	require.NoError(t, err)
	return bootstrap
}

// suited is what docker-compose.yaml extends smaran, envoy and each jarvis by.
const suited = `# Written by make generate.
services:
  smaran:
    environment:
      SMARAN_BACKEND: %[1]s
      SMARAN_MESH_POLICY: ${SMARAN_MESH_POLICY:-%[2]s}
  envoy:
    volumes:
      - type: bind
        source: ../envoy/${SMARAN_MESH_POLICY:-%[2]s}.json
        target: /etc/envoy/mesh.json
        read_only: true
        bind: {create_host_path: false}
  jarvis:
    environment:%[3]s
`

// following are the variables of pods that hand their sessions over; those of others have none.
const following = `
      JARVIS_ENDPOINTS: dns://jarvis:8080?admin=9090
      JARVIS_HASH: ${SMARAN_MESH_POLICY:-ring}`

func TestComposeHasWhatIsRendered(t *testing.T) {
	files := map[string]string{}
	for _, policy := range []mesh.Policy{mesh.RoundRobin, mesh.Ring, mesh.Maglev, mesh.StatefulByHeader, mesh.StatefulByCookie} {
		files[filepath.Join("envoy", string(policy)+".json")] = string(compose(t, policy))
	}
	for _, name := range backend.Names() {
		pods := " {}"
		if name == backend.Handoff {
			pods = following
		}
		files[filepath.Join("backends", string(name)+".yaml")] = fmt.Sprintf(suited, name, name.MeshPolicy(), pods)
		require.Contains(t, files, filepath.Join("envoy", string(name.MeshPolicy())+".json"))
	}
	for name, got := range files {
		path := filepath.Join(composed, name)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err, "write it: make generate")
		require.Empty(t, cmp.Diff(string(want), got), "%s is stale: make generate", name)
	}
}

// The pods of docker-compose.yaml are written one by one; they must differ by their number alone.
func TestComposeNumbersItsPods(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "..", "..", "docker-compose.yaml"))
	require.NoError(t, err)
	for n := 1; n <= 10; n++ {
		for _, want := range []string{
			fmt.Sprintf("  jarvis-%d:\n", n),
			fmt.Sprintf("    hostname: jarvis-%d\n", n),
			fmt.Sprintf(`JARVIS_ADDRESS: "${SUBNET:-10.231.77}.%[1]d:8080", JARVIS_MEDIA_ADVERTISE: "${HOST_ADDRESS:-127.0.0.1},${SUBNET:-10.231.77}.%[1]d", `+
				`JARVIS_MEDIA_LISTEN: ":%[2]d", JARVIS_SEED: "${SMARAN_SEED:+${SMARAN_SEED:-}%[3]d}"`, 10+n, 20000+n, n),
			fmt.Sprintf(`    ports: ["${HOST_ADDRESS:-127.0.0.1}:%[1]d:%[1]d/udp", "${ADMIN_ADDRESS:-127.0.0.1}:%[2]d:9090"]`, 20000+n, 9100+n),
			fmt.Sprintf(`    networks: {pods: {ipv4_address: "${SUBNET:-10.231.77}.%d", aliases: [jarvis]}}`, 10+n),
		} {
			require.Equal(t, 1, strings.Count(string(file), want), "pod %d: %s", n, want)
		}
	}
}
