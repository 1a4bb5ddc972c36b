package cli

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/runinfo"
)

// begun is the folder of a compare of which every run was made, so that resuming it only reports.
func begun(t *testing.T, driver string) string {
	t.Helper()
	flags := compareFlags()
	flags.Driver = driver
	c := &cells{dir: t.TempDir()}
	require.NoError(t, c.create(flags, &reportv1.Run{Id: "compare-1", Seed: 9, Driver: driver, Versions: runinfo.Versions()}))
	specs, err := flags.specs()
	require.NoError(t, err)
	for _, s := range specs {
		require.NoError(t, c.save(s, good(s)))
	}
	return c.dir
}

func resume(t *testing.T, dir string, args ...string) error {
	t.Helper()
	return Run(t.Context(), append([]string{"compare", "--resume", dir}, args...), &bytes.Buffer{}, &bytes.Buffer{})
}

func TestAResumedCompareKeepsItsFlags(t *testing.T) {
	dir := begun(t, localDriver)
	for name, c := range map[string]struct{ args, want []string }{
		"seed":       {[]string{"--seed", "8"}, []string{"--seed 8", "--seed 9"}},
		"driver":     {[]string{"--driver", "kubernetes"}, []string{"--driver kubernetes", "--driver local"}},
		"backend":    {[]string{"--backend", "redis"}, []string{"--backend redis:", "--backend redis,app-hash"}},
		"by alias":   {[]string{"--vus", "5"}, []string{"--calls 5", "--calls 4"}},
		"warm-up":    {[]string{"--warmup", "5s"}, []string{"--warmup 5s", "--warmup 3s"}},
		"unset then": {[]string{"--context", "kind-smaran"}, []string{"--context kind-smaran", "was begun without"}},
		"no sense":   {[]string{"--calls", "0"}, []string{"--calls 0", "--calls 4"}},
	} {
		err := resume(t, dir, c.args...)
		require.ErrorIs(t, err, errUsage, name)
		for _, want := range c.want {
			require.ErrorContains(t, err, want, name)
		}
	}
	require.NoError(t, resume(t, dir), "by itself")
	require.NoError(t, resume(t, dir, "--seed", "9", "--driver", "local", "--backend", "redis,app-hash"), "the same again")
	require.NoError(t, resume(t, dir, "--fleet", "bin/fleet", "--log-level", "warn"), "these are not of the runs")
}

func TestAResumedCompareIsNotSteeredByTheEnvironment(t *testing.T) {
	dir := begun(t, localDriver)
	t.Setenv("LOADTEST_DRIVER", "kubernetes")
	err := resume(t, dir)
	require.ErrorIs(t, err, errUsage)
	require.ErrorContains(t, err, "--driver local")
	require.NotContains(t, err.Error(), "needs --context")
}

func TestAResumedCompareTakesNoFleetElsewhere(t *testing.T) {
	require.ErrorContains(t, resume(t, begun(t, composeDriver), "--fleet", "bin/fleet"), "--fleet is for --driver local")
}
