package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/conduct"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/threshold"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/runinfo"
)

// script answers each run by its number, from 0.
type script struct {
	made []string
	on   map[int]func() (*reportv1.Result, error)
}

func (s *script) Run(_ context.Context, spec engine.Spec) (*reportv1.Result, error) {
	n := len(s.made)
	s.made = append(s.made, fmt.Sprintf("%s %s %d", spec.Scenario.Name, spec.Backend, spec.Repeat))
	if do, ok := s.on[n]; ok {
		return do()
	}
	return good(spec), nil
}

func good(s engine.Spec) *reportv1.Result {
	return &reportv1.Result{
		Backend: s.Backend, Scenario: s.Scenario.Name, Repeat: uint32(s.Repeat), Seed: s.Load.Seed, Valid: true,
		Counts: map[string]uint64{"dropped_calls": uint64(len(s.Backend))},
	}
}

func compareFlags() *compareCmd {
	c := &compareCmd{Backend: []string{"redis", "app-hash"}, Scenario: []string{"steady", "kill"}, Repeat: 2, Baseline: "app-hash"}
	c.Calls, c.Rate, c.Warmup, c.Seed, c.OnMisroute = 4, 4, 3*time.Second, 9, client.Redial
	c.Driver = localDriver
	return c
}

func TestCompareInterleavesBackends(t *testing.T) {
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	var order []string
	for _, s := range specs {
		order = append(order, fmt.Sprintf("%s %s %d", s.Scenario.Name, s.Backend, s.Repeat))
		require.EqualValues(t, 9, s.Load.Seed, "one seed")
	}
	require.Equal(t, []string{
		"steady redis 1", "steady app-hash 1", "kill redis 1", "kill app-hash 1",
		"steady redis 2", "steady app-hash 2", "kill redis 2", "kill app-hash 2",
	}, order)
	// Ten seconds of steady and fifteen of kill, and for each of the four runs of both a warm-up and a fleet's coming and going.
	require.Equal(t, 4*(10+3+4+15+3+4)*time.Second, estimate(specs))
}

func TestCompareTakesBothPoliciesOfTheMesh(t *testing.T) {
	all := (&compareCmd{}).backends()
	require.Equal(t, []string{
		"roundrobin", "redis-plain", "redis", "app-hash", "istio-hash", "istio-hash:maglev", "stateful-header", "stateful-cookie", "handoff",
	}, all)
	require.NoError(t, checkBackends(all))
}

func TestABatchGoesOnPastAFailure(t *testing.T) {
	broken := errors.New("no fleet")
	s := &script{on: map[int]func() (*reportv1.Result, error){1: func() (*reportv1.Result, error) { return nil, broken }}}
	var said bytes.Buffer
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	results, err := (&batch{runner: s, progress: newProgress(&said)}).run(t.Context(), specs)
	require.ErrorIs(t, err, broken)
	require.Len(t, results, 7)
	require.Len(t, s.made, 8)
	require.Contains(t, said.String(), "[2/8] app-hash, steady: failed: no fleet")
}

func TestRunsOnOtherAddressesDoNotCompare(t *testing.T) {
	at := func(pods string) func() (*reportv1.Result, error) {
		return func() (*reportv1.Result, error) {
			return &reportv1.Result{Valid: true, Settings: map[string]string{"pods": pods}}, nil
		}
	}
	const here, elsewhere, more = "127.0.0.11:1, 127.0.0.12:1", "127.0.0.11:2, 127.0.0.12:2", "127.0.0.11:2, 127.0.0.12:2, 127.0.0.13:2"
	s := &script{on: map[int]func() (*reportv1.Result, error){0: at(here), 1: at(elsewhere), 2: at(here), 3: at(more)}}
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	results, err := (&batch{runner: s, progress: newProgress(&bytes.Buffer{})}).run(t.Context(), specs[:4])
	require.NoError(t, err)
	require.True(t, results[0].GetValid())
	require.False(t, results[1].GetValid())
	require.Len(t, results[1].GetInvalidReasons(), 1)
	require.Contains(t, results[1].GetInvalidReasons()[0], elsewhere)
	require.Contains(t, results[1].GetInvalidReasons()[0], here)
	require.True(t, results[2].GetValid(), "as the first")
	require.True(t, results[3].GetValid(), "the first with three pods")

	s = &script{on: map[int]func() (*reportv1.Result, error){0: at(elsewhere)}}
	had, _ := at(here)()
	results, err = (&batch{runner: s, progress: newProgress(&bytes.Buffer{}), had: []*reportv1.Result{had}}).run(t.Context(), specs[:1])
	require.NoError(t, err)
	require.False(t, results[0].GetValid(), "what is resumed counts as well")
}

func TestAnInterruptEndsTheBatchAndKeepsWhatThereIs(t *testing.T) {
	cut := func() (*reportv1.Result, error) {
		return &reportv1.Result{InvalidReasons: []string{"interrupted after 2s of 10s"}}, engine.ErrInterrupted
	}
	s := &script{on: map[int]func() (*reportv1.Result, error){2: cut}}
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	var kept int
	each := func(engine.Spec, *reportv1.Result) error { kept++; return nil }
	results, err := (&batch{runner: s, progress: newProgress(&bytes.Buffer{}), each: each}).run(t.Context(), specs)
	require.ErrorIs(t, err, engine.ErrInterrupted)
	require.Equal(t, 2, kept, "what was cut short is made again")
	var exit exitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 130, exit.code)
	require.Len(t, results, 3)
	require.Len(t, s.made, 3)
}

func TestAnInterruptSaysWhatCouldNotBeClearedAway(t *testing.T) {
	left := errors.New("pod jarvis-1 is still frozen")
	s := &script{on: map[int]func() (*reportv1.Result, error){0: func() (*reportv1.Result, error) {
		return good(engine.Spec{}), errors.Join(engine.ErrInterrupted, left)
	}}}
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	_, err = (&batch{runner: s, progress: newProgress(&bytes.Buffer{})}).run(t.Context(), specs)
	require.ErrorIs(t, err, engine.ErrInterrupted)
	require.ErrorIs(t, err, left)
}

func TestARunWhoseGeneratorWasEndedIsMadeAgain(t *testing.T) {
	s := &script{on: map[int]func() (*reportv1.Result, error){1: func() (*reportv1.Result, error) {
		return &reportv1.Result{InvalidReasons: []string{"interrupted after 2s of 10s"}}, fmt.Errorf("%w: it was ended from outside", conduct.ErrGenerator)
	}}}
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	var kept int
	each := func(engine.Spec, *reportv1.Result) error { kept++; return nil }
	results, err := (&batch{runner: s, progress: newProgress(&bytes.Buffer{}), each: each}).run(t.Context(), specs)
	require.ErrorIs(t, err, conduct.ErrGenerator)
	require.Len(t, results, len(specs), "the others are made")
	require.Equal(t, len(specs)-1, kept)
}

func TestCompareGoesOnWhereItWasInterrupted(t *testing.T) {
	first := compareFlags()
	c := &cells{dir: t.TempDir()}
	require.NoError(t, c.create(first, &reportv1.Run{Id: "compare-1", Seed: 9, Versions: runinfo.Versions()}))
	specs, err := first.specs()
	require.NoError(t, err)
	for _, s := range specs[:3] {
		require.NoError(t, c.save(s, good(s)))
	}

	resumed := &compareCmd{Resume: c.dir}
	r, again, err := resumed.open(t.Context(), &app{})
	require.NoError(t, err)
	require.Equal(t, "compare-1", r.GetRun().GetId())
	require.Equal(t, first.Backend, resumed.Backend, "with the flags of then")
	require.EqualValues(t, 9, resumed.Seed)
	specs, err = resumed.specs()
	require.NoError(t, err)
	had, missing, err := again.split(specs)
	require.NoError(t, err)
	require.Len(t, had, 3)
	require.Len(t, missing, 5)
	require.Equal(t, "kill", missing[0].Scenario.Name)
	require.Equal(t, "app-hash", missing[0].Backend)

	last := good(specs[7])
	sorted := inOrder(specs, []*reportv1.Result{last, had[2], had[0]})
	require.Equal(t, []*reportv1.Result{had[0], had[2], last}, sorted)
}

func TestAnotherBuildDoesNotGoOn(t *testing.T) {
	c := &cells{dir: t.TempDir()}
	require.NoError(t, c.create(compareFlags(), &reportv1.Run{Versions: map[string]string{runinfo.Program: "an older one"}}))
	_, _, err := (&compareCmd{Resume: c.dir}).open(t.Context(), &app{})
	require.ErrorIs(t, err, errResume)
	require.ErrorContains(t, err, "an older one")
}

func TestABrokenCellIsAnErrorAndNotARunLess(t *testing.T) {
	c := &cells{dir: t.TempDir()}
	flags := compareFlags()
	require.NoError(t, c.create(flags, &reportv1.Run{}))
	specs, err := flags.specs()
	require.NoError(t, err)
	require.NoError(t, c.put(cellName("steady", "redis", 1), []byte("{")))
	_, _, err = c.split(specs)
	require.ErrorIs(t, err, errResume)
}

func TestEachRunIsJudgedByItself(t *testing.T) {
	c := &runCmd{}
	require.NoError(t, c.unmarshalThresholds("dropped_calls==5", "inference_p99_ms<400"))
	ok := &reportv1.Result{Backend: "redis", Valid: true, Counts: map[string]uint64{"dropped_calls": 5},
		Histograms: map[string]*reportv1.Histogram{"inference_ms": {Count: 9, Percentiles: []*reportv1.Percentile{{Percentile: 99, Value: 120}}}}}
	require.NoError(t, c.judge([]*reportv1.Result{ok}))
	require.Len(t, ok.GetThresholds(), 2)

	bad := &reportv1.Result{Backend: "app-hash", Valid: true, Counts: map[string]uint64{"dropped_calls": 6}}
	err := c.judge([]*reportv1.Result{ok, bad})
	require.ErrorIs(t, err, errRun)
	require.ErrorContains(t, err, "app-hash: dropped_calls==5, found 6")
	require.ErrorContains(t, err, "app-hash: inference_p99_ms<400, found no samples")
	require.NotContains(t, err.Error(), "redis")

	invalid := &reportv1.Result{Backend: "redis", InvalidReasons: []string{"the generator fell behind"}}
	require.ErrorContains(t, (&runCmd{}).judge([]*reportv1.Result{invalid}), "the generator fell behind")
}

// unmarshalThresholds sets them as the command line does.
func (c *runCmd) unmarshalThresholds(texts ...string) error {
	c.Threshold = nil
	for _, text := range texts {
		t, err := threshold.Parse(text)
		if err != nil {
			return err
		}
		c.Threshold = append(c.Threshold, t)
	}
	return nil
}

func TestProgressOnATerminalAndElsewhereSayTheSameAtTheEnd(t *testing.T) {
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	for name, p := range map[string]func(*bytes.Buffer) progress{
		"lines": func(b *bytes.Buffer) progress { return newProgress(b) },
		"bar":   func(b *bytes.Buffer) progress { return &barProgress{w: b} },
	} {
		var out bytes.Buffer
		shown := p(&out)
		shown.begin(0, 8, specs[0])
		shown.step(engine.Progress{Stage: "warming up", Done: time.Second, Total: 13 * time.Second})
		shown.step(engine.Progress{Stage: "measuring", Done: 13 * time.Second, Total: 13 * time.Second})
		shown.end(good(specs[0]), nil)
		require.Contains(t, out.String(), "[1/8] redis, steady: ", name)
		require.Contains(t, out.String(), "5 dropped calls", name)
		shown.begin(1, 8, specs[1])
		shown.end(nil, errors.New("no fleet"))
		require.Contains(t, out.String(), "[2/8] app-hash, steady: failed: no fleet", name)
	}
}

func TestDiscardLeavesWhatWasMeasured(t *testing.T) {
	c := &cells{dir: filepath.Join(t.TempDir(), "compare-1")}
	flags := compareFlags()
	require.NoError(t, c.create(flags, &reportv1.Run{}))
	specs, err := flags.specs()
	require.NoError(t, err)
	require.NoError(t, c.save(specs[0], good(specs[0])))
	c.discard()
	had, _, err := c.split(specs)
	require.NoError(t, err)
	require.Len(t, had, 1)

	there := t.TempDir()
	c = &cells{dir: filepath.Join(there, "compare-2")}
	require.NoError(t, c.create(flags, &reportv1.Run{}))
	c.discard()
	require.NoDirExists(t, c.dir)
	require.DirExists(t, there, "it was there before")

	c = &cells{dir: filepath.Join(there, "out", "compare-3")}
	require.NoError(t, c.create(flags, &reportv1.Run{}))
	c.discard()
	require.NoDirExists(t, filepath.Join(there, "out"))
}
