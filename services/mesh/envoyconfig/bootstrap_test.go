package envoyconfig_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/mesh/envoyconfig"
	"github.com/smaran-v2/smaran/services/testreal"
)

func options(t *testing.T, policy mesh.Policy) mesh.Options {
	t.Helper()
	o, err := mesh.Defaults("/run/fleet/eds.json", policy)
	require.NoError(t, err)
	return o
}

// The golden file is what this package rendered and Envoy 1.40.0 took; TestEnvoyTakesEveryBootstrap proves the latter.
func TestBootstrapMatchesTheGoldenFile(t *testing.T) {
	got, err := envoyconfig.Bootstrap(options(t, mesh.StatefulByCookie))
	require.NoError(t, err)
	golden := filepath.Join("testdata", "stateful-cookie.json")
	if *update {
		require.NoError(t, os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), string(got)))
}

func TestEnvoyTakesEveryBootstrap(t *testing.T) {
	for _, policy := range mesh.Policies() {
		for _, change := range []func(*mesh.Options){
			func(*mesh.Options) {},
			func(o *mesh.Options) { o.RetryHost, o.Listen, o.Admin = mesh.RetryOther, "[::1]:0", "" },
			func(o *mesh.Options) {
				o.RetryHost, o.CookieTTL, o.RingSize, o.TableSize = mesh.RetrySame, 90*time.Second, 10240, 251
			},
			func(o *mesh.Options) { o.Retries, o.Timeout, o.StreamTimeout = 0, 0, time.Minute },
		} {
			o := options(t, policy)
			o.Endpoints = filepath.Join(t.TempDir(), "eds.json")
			require.NoError(t, os.WriteFile(o.Endpoints, []byte("{}"), 0o600))
			change(&o)
			bootstrap, err := envoyconfig.Bootstrap(o)
			require.NoError(t, err)
			testreal.ValidateEnvoy(t, string(bootstrap))
		}
		testreal.ValidateEnvoy(t, string(compose(t, policy)))
	}
}

func TestBootstrapRefusesWhatTheMeshWould(t *testing.T) {
	for name, change := range map[string]func(*mesh.Options){
		"policy":     func(o *mesh.Options) { o.Policy = "x" },
		"table size": func(o *mesh.Options) { o.Policy, o.TableSize = mesh.Maglev, 10 },
		"listen":     func(o *mesh.Options) { o.Listen = "127.0.0.1" },
		"port":       func(o *mesh.Options) { o.Listen = "127.0.0.1:http" },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, mesh.Ring)
			change(&o)
			_, err := envoyconfig.Bootstrap(o)
			require.ErrorIs(t, err, mesh.ErrOptions)
		})
	}
}
