package conduct_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/conduct"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/fakefleet"
	"github.com/smaran-v2/smaran/loadtest/internal/figures"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// spec is twelve callers for 12 s after 3 s, on a fleet of three pods.
func spec(t *testing.T, events ...string) engine.Spec {
	s := engine.Spec{
		Backend:   "istio-hash",
		Scenario:  scenario.Scenario{Name: "test", Pods: 3, Duration: 12 * time.Second},
		Repeat:    2,
		Load:      plan.Load{Calls: 12, Rate: 24, Warmup: 3 * time.Second, Seed: 1},
		Behaviour: engine.Behaviour{OnMisroute: client.Redial, GapThreshold: 200 * time.Millisecond, Watchdog: 100 * time.Millisecond},
	}
	for _, text := range events {
		e, err := scenario.ParseEvent(text)
		require.NoError(t, err)
		s.Scenario.Events = append(s.Scenario.Events, e)
	}
	return s
}

// stage runs generators in this process. It is also the one player it has.
type stage struct {
	fleet *fakefleet.Fleet
	// fail, where set, is why no generator starts.
	fail error

	conn, far net.Conn
	ctx       context.Context
	cancel    context.CancelFunc
	generated chan error
	removed   bool
}

func (s *stage) Start(ctx context.Context, _ time.Duration) (conduct.Player, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	s.conn, s.far = net.Pipe()
	s.generated = make(chan error, 1)
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	g := &conduct.Generator{
		Version: "v-generator", Phones: &fakefleet.Phones{Fleet: s.fleet}, Dial: s.fleet.Dial,
		Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler),
	}
	go func() { s.generated <- g.Generate(s.ctx, s.far) }()
	return s, nil
}

func (s *stage) Conn() net.Conn               { return s.conn }
func (s *stage) Words(context.Context) string { return "generator: out of breath" }

func (s *stage) Remove(context.Context) error {
	s.cancel()
	s.removed = true
	return nil
}

// skewed is a clock that is ahead of the bubble's.
type skewed struct {
	clockwork.Clock
	ahead time.Duration
}

func (c skewed) Now() time.Time { return c.Clock.Now().Add(c.ahead) }

// skewedFleet states when its endpoints changed by a skewed clock, and adds what it saw.
type skewedFleet struct {
	*fakefleet.Fleet
	ahead time.Duration
}

func (f skewedFleet) Status(ctx context.Context) (*fleetv1.StatusResponse, error) {
	s, err := f.Fleet.Status(ctx)
	for i, v := range s.GetHistory() {
		s.History[i] = &fleetv1.Endpoints{
			Version: v.GetVersion(), Endpoints: v.GetEndpoints(), Written: timestamppb.New(v.GetWritten().AsTime().Add(f.ahead)),
		}
	}
	return s, err
}

func (f skewedFleet) Observe(_ context.Context, sessions []string, r *reportv1.Result) {
	r.Settings["seen"] = fmt.Sprint(len(sessions), " sessions by the fleet")
}

type skewedDriver struct{ fleet skewedFleet }

func (skewedDriver) Name() string                                            { return "skewed" }
func (d skewedDriver) Up(context.Context, driver.Spec) (driver.Fleet, error) { return d.fleet, nil }

type bench struct {
	fleet     *fakefleet.Fleet
	stage     *stage
	conductor *conduct.Conductor
	ctx       context.Context
	cancel    context.CancelFunc

	mu         sync.Mutex
	stages     []string
	histograms map[string]tally.Histogram
}

// inBubble gives a test a conductor, a fake fleet of three pods, and a stage. A test that hangs is a deadlock of the bubble.
func inBubble(t *testing.T, test func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := &bench{fleet: fakefleet.New(3, fakefleet.Ring), ctx: ctx, cancel: cancel}
		b.stage = &stage{fleet: b.fleet}
		b.conductor = &conduct.Conductor{
			Driver: skewedDriver{skewedFleet{b.fleet, time.Hour}}, Stage: b.stage, Version: "v-conductor",
			Clock: skewed{clockwork.NewRealClock(), time.Hour}, Log: slog.New(slog.DiscardHandler),
			Progress: func(p engine.Progress) {
				b.mu.Lock()
				defer b.mu.Unlock()
				if n := len(b.stages); n == 0 || b.stages[n-1] != p.Stage {
					b.stages = append(b.stages, p.Stage)
				}
			},
			Histograms: func(_ engine.Spec, h map[string]tally.Histogram) { b.histograms = h },
		}
		test(t, b)
		require.True(t, b.fleet.IsDown())
	})
}

func TestAConductedRunIsARun(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r, err := b.conductor.Run(b.ctx, spec(t, "4s:scale=10"))
		require.NoError(t, err)
		require.NoError(t, <-b.stage.generated)
		require.True(t, b.stage.removed)
		require.True(t, r.GetValid(), r.GetInvalidReasons())
		require.Equal(t, "istio-hash", r.GetBackend())
		require.Equal(t, "test", r.GetScenario())
		require.EqualValues(t, 2, r.GetRepeat())

		e := r.GetEvents()[0]
		require.Equal(t, "scale=10", e.GetName())
		require.Empty(t, e.GetError())
		require.Len(t, e.GetChanges(), 1)
		require.InDelta(t, 4000, e.GetChanges()[0].GetAtMs(), 5, "in the generator's time, an hour behind the conductor's")
		require.NotZero(t, e.GetMovedSessions())
		require.Equal(t, e.GetMovedSessions(), e.GetPredictedMoved())

		require.Contains(t, r.GetSettings()[conduct.SettingGenerator], "v-generator, not v-conductor")
		require.Contains(t, r.GetSettings()[conduct.SettingClockOffset], "ahead by 1h0m0s")
		require.Equal(t, "12 sessions by the fleet", r.GetSettings()["seen"])
		require.EqualValues(t, r.GetHistograms()["inference_ms"].GetCount(), b.histograms["inference_ms"].Count(), "in full, too")
		require.Equal(t, []string{"starting the fleet", "starting the generator", "warming up", "measuring", "scale=10", "measuring"}, b.stages)
	})
}

func TestAGeneratorOfTheSameBuildNeedsNoWord(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.conductor.Version = "v-generator"
		r, err := b.conductor.Run(b.ctx, spec(t))
		require.NoError(t, err)
		require.NoError(t, <-b.stage.generated)
		require.Equal(t, "v-generator", r.GetSettings()[conduct.SettingGenerator])
	})
}

// TestTheTunnelChangesNothing is the same run with and without a conductor between.
func TestTheTunnelChangesNothing(t *testing.T) {
	var direct, conducted *reportv1.Result
	inBubble(t, func(t *testing.T, b *bench) {
		e := &engine.Engine{
			Driver: skewedDriver{skewedFleet{b.fleet, 0}}, Phones: &fakefleet.Phones{Fleet: b.fleet}, Dial: b.fleet.Dial,
			Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler),
		}
		var err error
		direct, err = e.Run(b.ctx, spec(t, "3s:kill=jarvis-2", "6s:scale=5"))
		require.NoError(t, err)
	})
	inBubble(t, func(t *testing.T, b *bench) {
		var err error
		conducted, err = b.conductor.Run(b.ctx, spec(t, "3s:kill=jarvis-2", "6s:scale=5"))
		require.NoError(t, err)
	})
	for _, name := range []string{figures.MovedSessions, figures.ColdStarts, figures.RequestsFailed, figures.Renegotiations} {
		require.Equal(t, direct.GetCounts()[name], conducted.GetCounts()[name], name)
	}
	require.Equal(t, direct.GetErrors(), conducted.GetErrors())
	require.Equal(t, direct.GetLoad().String(), conducted.GetLoad().String())
	require.Equal(t, direct.GetEvents()[0].GetPod(), conducted.GetEvents()[0].GetPod())
}

func TestAConnectionThatBreaksEndsTheRunOnBothSides(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		timer := time.AfterFunc(8*time.Second, func() { _ = b.stage.conn.Close() })
		defer timer.Stop()
		start := time.Now()
		r, err := b.conductor.Run(b.ctx, spec(t, "4s:scale=10"))
		require.Nil(t, r)
		require.ErrorIs(t, err, conduct.ErrGenerator)
		require.NotErrorIs(t, err, engine.ErrInterrupted, "the batch goes on with the next run")
		require.ErrorContains(t, err, "the connection to it broke")
		require.ErrorContains(t, err, "out of breath")
		require.ErrorIs(t, <-b.stage.generated, conduct.ErrConductor)
		require.Less(t, time.Since(start), 10*time.Second, "neither waits for the run's end")
		require.True(t, b.stage.removed)
	})
}

func TestAnInterruptGivesWhatThereIs(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		timer := time.AfterFunc(8*time.Second, b.cancel)
		defer timer.Stop()
		r, err := b.conductor.Run(b.ctx, spec(t, "4s:scale=10", "11s:kill"))
		require.ErrorIs(t, err, engine.ErrInterrupted)
		require.False(t, r.GetValid())
		require.Contains(t, r.GetInvalidReasons()[0], "interrupted after 5")
		require.Len(t, r.GetEvents(), 1)
		require.NotZero(t, r.GetLoad().GetRequests())
		require.NoError(t, <-b.stage.generated)
		require.True(t, b.stage.removed)
	})
}

func TestAGeneratorThatIsEndedFromOutsideFailsItsRunOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		timer := time.AfterFunc(8*time.Second, func() { b.stage.cancel() })
		defer timer.Stop()
		r, err := b.conductor.Run(b.ctx, spec(t))
		require.ErrorIs(t, err, conduct.ErrGenerator)
		require.NotErrorIs(t, err, engine.ErrInterrupted)
		require.False(t, r.GetValid())
	})
}

func TestAFleetThatDiesEndsTheRun(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		timer := time.AfterFunc(8*time.Second, func() { b.fleet.Die(errors.New("the cluster is gone")) })
		defer timer.Stop()
		r, err := b.conductor.Run(b.ctx, spec(t))
		require.NoError(t, err, "the generator did nothing wrong, and nobody ended it")
		require.NoError(t, <-b.stage.generated)
		require.False(t, r.GetValid())
		require.Equal(t, "the cluster is gone", r.GetInvalidReasons()[0])
	})
}

func TestAFleetThatDiesWithTheConnectionIsTheCause(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		gone := errors.New("the cluster is gone")
		timer := time.AfterFunc(8*time.Second, func() {
			b.fleet.Die(gone)
			_ = b.stage.conn.Close()
		})
		defer timer.Stop()
		r, err := b.conductor.Run(b.ctx, spec(t))
		require.Nil(t, r)
		require.ErrorIs(t, err, gone)
		require.ErrorIs(t, err, conduct.ErrGenerator)
		require.ErrorIs(t, <-b.stage.generated, conduct.ErrConductor)
	})
}

func TestAGeneratorThatDoesNotStart(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.stage.fail = errors.New("no such image")
		r, err := b.conductor.Run(b.ctx, spec(t))
		require.Nil(t, r)
		require.ErrorIs(t, err, conduct.ErrGenerator)
		require.ErrorContains(t, err, "no such image")
	})
}

func TestAnInterruptHidesNothingThatWasLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cancel()
		b.stage.fail = errors.New("the Job is left")
		_, err := b.conductor.Run(b.ctx, spec(t))
		require.ErrorIs(t, err, engine.ErrInterrupted)
		require.ErrorIs(t, err, b.stage.fail)
	})
}

func TestALoadThatTheGeneratorRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		s := spec(t)
		s.Load.Calls = 0
		_, err := b.conductor.Run(b.ctx, s)
		require.ErrorIs(t, err, conduct.ErrGenerator)
		require.ErrorContains(t, err, plan.ErrLoad.Error())
		require.NoError(t, <-b.stage.generated, "it did its part")
	})
}

func TestAnEventThatFailsIsInTheReport(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r, err := b.conductor.Run(b.ctx, spec(t, "2s:rollout")) // the fake fleet can't
		require.NoError(t, err)
		require.False(t, r.GetValid())
		require.Contains(t, r.GetEvents()[0].GetError(), "the fake fleet can't rollout")
	})
}
