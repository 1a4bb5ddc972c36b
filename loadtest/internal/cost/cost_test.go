package cost_test

import (
	"bytes"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/cost"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// parsed is the command as a user gives it.
func parsed(t *testing.T, args ...string) cost.Cmd {
	t.Helper()
	var c cost.Cmd
	p, err := kong.New(&c)
	require.NoError(t, err)
	_, err = p.Parse(args)
	require.NoError(t, err)
	return c
}

func bills(a cost.Assumptions) map[backend.Name]float64 {
	out := map[backend.Name]float64{}
	for _, b := range a.Bills() {
		out[b.Backend] = b.Total()
	}
	return out
}

// Counted by hand: a core costs 730 x 0.03 = 21.90 a month, a GiB 730 x 0.004 = 2.92.
func TestTheDefaultsByHand(t *testing.T) {
	a := parsed(t).Assumptions
	const smaran = 2 * (0.05*21.90 + 0.0625*2.92)               // 2.555
	const mesh = 12*(0.1*21.90+0.125*2.92) + 0.5*21.90 + 2*2.92 // 30.66 + 16.79
	require.InDelta(t, mesh, a.Mesh(), 1e-9)
	got := bills(a)
	require.Len(t, got, len(backend.Names()))
	for name, want := range map[backend.Name]float64{
		backend.RoundRobin: smaran, backend.AppHash: smaran, backend.Redis: smaran + 300, backend.RedisPlain: smaran + 300,
		backend.IstioHash: smaran + mesh, backend.StatefulHeader: smaran + mesh, backend.StatefulCookie: smaran + mesh, backend.Handoff: smaran + mesh,
	} {
		require.InDelta(t, want, got[name], 1e-9, name)
	}
	require.InDelta(t, (300-16.79)/2.555, a.BreakEven(), 1e-9)
}

// Each assumption changes what it is about, and nothing else.
func TestEveryAssumptionCounts(t *testing.T) {
	before := bills(parsed(t).Assumptions)
	for flag, changed := range map[string][]backend.Name{
		"--redis-usd=1": {backend.Redis, backend.RedisPlain}, "--pods=99": meshed, "--sidecar-cpu=1": meshed, "--sidecar-gib=1": meshed,
		"--istiod-cpu=9": meshed, "--istiod-gib=9": meshed, "--smaran-replicas=9": backend.Names(), "--smaran-cpu=1": backend.Names(),
		"--smaran-gib=1": backend.Names(), "--core-hour-usd=1": backend.Names(), "--gib-hour-usd=1": backend.Names(), "--hours=1": backend.Names(),
	} {
		var moved []backend.Name
		after := bills(parsed(t, flag).Assumptions)
		for _, name := range backend.Names() {
			if after[name] != before[name] {
				moved = append(moved, name)
			}
		}
		require.ElementsMatch(t, changed, moved, flag)
	}
}

var meshed = []backend.Name{backend.IstioHash, backend.StatefulHeader, backend.StatefulCookie, backend.Handoff}

func TestWhatCannotBeIsRefused(t *testing.T) {
	for _, flag := range []string{"--redis-usd=-1", "--pods=-1", "--hours=0", "--hours=745", "--core-hour-usd=-0.1", "--hours=NaN", "--redis-usd=Inf",
		"--istiod-cpu=NaN", "--core-hour-usd=1e308"} {
		p, err := kong.New(new(cost.Cmd))
		require.NoError(t, err)
		_, err = p.Parse([]string{flag})
		require.ErrorIs(t, err, cost.ErrAssumption, flag)
	}
}

func TestTheCommandShowsAssumptionsAndWhatEachRowIsMadeOf(t *testing.T) {
	c := parsed(t, "--pods", "30")
	var out bytes.Buffer
	require.NoError(t, c.Run(&out))
	for _, want := range []string{"Assumptions, not measurements", "--pods", "32 × 0.1 cores, 0.125 GiB", "handoff", "300.00 (managed)", "at 111 sidecars"} {
		require.Contains(t, out.String(), want)
	}
}

func TestArgsGiveTheSame(t *testing.T) {
	a := parsed(t, "--pods", "30", "--core-hour-usd", "0.045").Assumptions
	require.Equal(t, a, parsed(t, a.Args("")...).Assumptions)
	require.Equal(t, "--price-redis-usd", a.Args("price-")[0])
}
