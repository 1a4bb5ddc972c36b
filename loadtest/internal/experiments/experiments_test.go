package experiments

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/report"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func env(t *testing.T) Env {
	return Env{Seed: 1, Scratch: t.TempDir()}
}

// needRedis skips without a redis-server; where tests must not be skipped it fails.
func needRedis(t *testing.T) {
	t.Helper()
	program := os.Getenv(redisVariable)
	if program == "" {
		program = redisProgram
	}
	if _, err := exec.LookPath(program); err != nil {
		reason := "SKIP-REASON: redis-server not found: install Redis, for example apt-get install redis-server, or set " + redisVariable
		if os.Getenv("CI") == "true" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
}

func TestEveryExperimentBelongsToAClaimThatOneMachineCanTest(t *testing.T) {
	has := map[uint32]bool{}
	for _, n := range Claims() {
		require.False(t, has[n], n)
		has[n] = true
	}
	for _, d := range claims.All() {
		require.Equal(t, d.Place == claims.PlaceExperiment, has[d.Number], "claim %d: %s", d.Number, d.Place)
	}
}

// What is calculated is the same for the same seed, and says what the notes on affinity say.
func TestCalculatedClaims(t *testing.T) {
	for claim, figures := range map[uint32]map[string][2]float64{
		9:  {"modulo_moved_share": {0.89, 0.91}},
		10: {"ring_3_4": {0.33, 0.37}, "maglev_9_10": {0.095, 0.110}},
		11: {"ring_predicted_share": {0.76, 0.80}},
		12: {"maglev_predicted_share": {0.39, 0.41}},
		32: {"peak_by_mean_1024": {1.10, 1.20}},
		33: {"exponential, mean 5 h 1h": {0.15, 0.21}}, // 1 - exp(-1/5) = 18%
		37: {"peak_share_source_ip": {1, 1}},
	} {
		t.Run(fmt.Sprint(claim), func(t *testing.T) {
			t.Parallel()
			e := find(t, claim)
			first, err := e.conduct(t.Context(), env(t))
			require.NoError(t, err)
			for figure, within := range figures {
				require.GreaterOrEqual(t, first.GetFigures()[figure], within[0], figure)
				require.LessOrEqual(t, first.GetFigures()[figure], within[1], figure)
			}
			again, err := e.conduct(t.Context(), env(t))
			require.NoError(t, err)
			require.True(t, proto.Equal(first, again), "the same seed must give the same finding")
		})
	}
}

// What goes through our mesh, in this process.
func TestClaimsThroughTheMesh(t *testing.T) {
	for claim, want := range map[uint32]string{22: "reproduced", 24: "reproduced", 26: "reproduced", 28: "reproduced", 31: "depends"} {
		e := env(t)
		c, err := find(t, claim).conduct(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, want, report.VerdictText(c.GetVerdict()), "claim %d: %s", claim, c.GetMeasured())
		left, err := os.ReadDir(e.Scratch)
		require.NoError(t, err)
		require.Empty(t, left, "claim %d leaves files behind", claim)
	}
}

func TestWithoutRedisItSaysSo(t *testing.T) {
	for _, claim := range []uint32{3, 4, 6} {
		e := env(t)
		e.RedisServer = filepath.Join(t.TempDir(), "no-redis-server")
		c, err := find(t, claim).conduct(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, notHere, c.GetVerdict())
		require.Contains(t, c.GetNote(), "redis-server")
		require.Empty(t, c.GetMeasured())
	}
}

func TestLookupsThroughARealRedis(t *testing.T) {
	needRedis(t)
	server, err := startRedis(t.Context(), env(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, server.close()) }()

	near, err := lookupBehind(t.Context(), env(t), server.address, 0)
	require.NoError(t, err)
	far, err := lookupBehind(t.Context(), env(t), server.address, 5*time.Millisecond)
	require.NoError(t, err)
	require.GreaterOrEqual(t, far.p50, 5*time.Millisecond)
	require.Less(t, near.p50, far.p50)
	cached, err := cachedLookup(t.Context(), env(t), server.address)
	require.NoError(t, err)
	require.Less(t, cached.p50, near.p50)
}

func TestRampCountsEveryLookup(t *testing.T) {
	needRedis(t)
	server, err := startRedis(t.Context(), env(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, server.close()) }()
	client := redis.NewClient(&redis.Options{Addr: server.address, MaxRetries: -1})
	defer client.Close()
	register := registry.NewPlain(client, time.Hour)
	require.NoError(t, register.Set(t.Context(), "known", "jarvis-1"))

	const rate = 500
	r, err := climb(t.Context(), server, register, []session.ID{"known"}, rate)
	require.NoError(t, err)
	require.Zero(t, r.failed)
	require.InDelta(t, rate, r.achieved, 0.2*rate)
	require.Positive(t, r.redisCores)
	require.Less(t, r.redisCores, fullCore)

	r, err = climb(t.Context(), server, register, []session.ID{"unknown"}, rate)
	require.NoError(t, err)
	require.Equal(t, rate*int(rungTime.Seconds()), r.failed)
}

func TestSweepOverARealRedis(t *testing.T) {
	needRedis(t)
	c, err := find(t, 6).conduct(t.Context(), env(t))
	require.NoError(t, err)
	require.Equal(t, reproduced, c.GetVerdict(), c.GetMeasured())
	require.Zero(t, c.GetFigures()["busy_moved_ttl_60s"])
}

func TestCommand(t *testing.T) {
	out := t.TempDir()
	var stdout bytes.Buffer
	c := Cmd{Only: []uint32{37, 9}, Seed: 7, Out: out, Width: 120}
	require.NoError(t, c.Run(t.Context(), &stdout))
	require.Contains(t, stdout.String(), "Hashing by source IP")
	files, err := filepath.Glob(filepath.Join(out, "claims-*", report.JSONFile))
	require.NoError(t, err)
	require.Len(t, files, 1)
	r, err := report.Load(files[0])
	require.NoError(t, err)
	require.Equal(t, "bin/loadtest claims --seed 7 --only 37,9", r.GetRun().GetCommand())
	require.NotEmpty(t, r.GetRun().GetMachine().GetOs())
	require.Len(t, r.GetClaims(), claims.Count)
	require.True(t, claims.Decided(r.GetClaims()[36]))
	require.True(t, claims.Decided(r.GetClaims()[8]))
	require.False(t, claims.Decided(r.GetClaims()[2]))
	require.FileExists(t, filepath.Join(filepath.Dir(files[0]), report.HTMLFile))
}

func TestCommandRefusesClaimsWithoutAnExperiment(t *testing.T) {
	c := Cmd{Only: []uint32{15}, Out: t.TempDir()}
	require.ErrorIs(t, c.Run(t.Context(), &bytes.Buffer{}), ErrUnknown)
}

func TestCommandEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := Cmd{Only: []uint32{10}, Seed: 1, Out: t.TempDir()}
	require.ErrorIs(t, c.Run(ctx, &bytes.Buffer{}), context.Canceled)
}

func find(t *testing.T, claim uint32) experiment {
	t.Helper()
	for _, e := range all() {
		if e.claim == claim {
			return e
		}
	}
	require.Fail(t, "no experiment", "claim %d", claim)
	return experiment{}
}

func TestTheCommandLineThatIsPrintedConductsTheSame(t *testing.T) {
	var c, again struct {
		Claims Cmd `cmd:""`
	}
	parse := func(into any, args []string) {
		p, err := kong.New(into)
		require.NoError(t, err)
		_, err = p.Parse(args)
		require.NoError(t, err)
	}
	parse(&c, []string{"claims", "--seed", "7", "--only", "21,9", "--price-pods", "30", "--price-core-hour-usd", "0.045"})
	parse(&again, c.Claims.args())
	require.Equal(t, c.Claims, again.Claims)
	require.Equal(t, 30, again.Claims.Prices.Pods)
}

func TestPercentileOf(t *testing.T) {
	four := []time.Duration{4, 1, 3, 2}
	for p, want := range map[float64]time.Duration{0: 1, 0.25: 1, 0.5: 2, 0.51: 3, 0.99: 4, 1: 4} {
		require.Equal(t, want, percentileOf(four, p), p)
	}
	require.Zero(t, percentileOf(nil, 0.5))
}

func TestCommandNamesTheClustersThatItDoesNotKnow(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(config, []byte("apiVersion: v1\nkind: Config\n"), 0o600))
	t.Setenv("KUBECONFIG", config)
	c := Cmd{Seed: 1, Out: t.TempDir(), Mesh: Mesh{Context: "kind-none"}}
	err := c.Run(t.Context(), new(bytes.Buffer))
	require.ErrorIs(t, err, cluster.ErrConfig)
	require.ErrorContains(t, err, "kind-none")

	c.Only = []uint32{9} // one machine's
	require.ErrorIs(t, c.Run(t.Context(), new(bytes.Buffer)), ErrUnknown)
	require.Equal(t, []string{"claims", "--seed", "1", "--only", "9", "--context", "kind-none"}, c.args())
}
