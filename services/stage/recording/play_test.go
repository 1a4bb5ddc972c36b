package recording_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// stage plays a recording on a clock that stands still unless it is moved.
type stage struct {
	*recording.Player
	t     *testing.T
	clock *clockwork.FakeClock
	scene *scene.Scene
}

func play(t *testing.T, o recording.Options) *stage {
	t.Helper()
	clock := clockwork.NewFakeClock()
	s := scene.New(clock)
	o.Clock, o.Scene = clock, s
	p, err := recording.NewPlayer(o)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
	return &stage{Player: p, t: t, clock: clock, scene: s}
}

// pass has so many paces go by, and waits until the scene has what they show.
func (s *stage) pass(paces int) {
	s.t.Helper()
	for range paces {
		_, version := s.scene.Frame(0)
		s.clock.Advance(scene.Pace)
		select {
		case <-s.scene.Next(version):
		case <-time.After(10 * time.Second):
			require.Fail(s.t, "nothing is played")
		}
	}
}

func (s *stage) at() float64 {
	f, _ := s.scene.Frame(0)
	require.Equal(s.t, f.GetAtMs(), f.GetRecording().GetAtMs())
	return f.GetAtMs()
}

func ptr(f float64) *float64 { return &f }

func TestPlayIsAsItHappened(t *testing.T) {
	s := play(t, recording.Options{Recording: counted(t, 20), Speed: 1})
	require.Equal(t, 1, sessions(t, s.scene), "the first frame is there at once")
	require.EqualValues(t, 1000, s.at(), "at its own time")
	f, _ := s.scene.Frame(0)
	require.Equal(t, "2026-11-28T15:00:00Z", f.GetRecording().GetRecorded())
	require.Equal(t, "a machine", f.GetRecording().GetMachine())
	require.Equal(t, "bin/fleet up", f.GetRecording().GetCommand())
	require.EqualValues(t, 2900, f.GetRecording().GetLengthMs())

	s.pass(3)
	require.Equal(t, 4, sessions(t, s.scene))
	require.EqualValues(t, 1300, s.at())

	require.NoError(t, s.Steer(recording.Steering{Speed: ptr(4)}))
	s.pass(2)
	require.Equal(t, 12, sessions(t, s.scene))
	require.EqualValues(t, 2100, s.at())

	s.pass(2)
	require.EqualValues(t, 2900, s.at(), "it stays at its end")
	require.Equal(t, 20, sessions(t, s.scene))
}

func TestAPausedRecordingStandsStill(t *testing.T) {
	s := play(t, recording.Options{Recording: counted(t, 20), Speed: 1})
	s.pass(1)
	require.NoError(t, s.Steer(recording.Steering{Speed: ptr(0)}))
	_, version := s.scene.Frame(0)
	s.clock.Advance(time.Hour)
	require.NoError(t, s.Steer(recording.Steering{Speed: ptr(1)})) // behind whatever the ticks did
	f, _ := s.scene.Frame(version)
	require.Empty(t, f.GetPods())
	require.EqualValues(t, 1100, s.at())
	s.pass(1)
	require.EqualValues(t, 1200, s.at(), "and goes on from there")
}

func TestAJumpShowsWhatWasThere(t *testing.T) {
	s := play(t, recording.Options{Recording: counted(t, 20), Speed: 0})
	for _, jump := range []struct {
		to, at   float64
		sessions int
	}{{2450, 2450, 15}, {1100, 1100, 2}, {0, 1000, 1}, {1e6, 2900, 20}, {1e12, 2900, 20}, {1e300, 2900, 20}, {2899, 2899, 19}} {
		require.NoError(t, s.Steer(recording.Steering{AtMs: ptr(jump.to)}))
		require.Equal(t, jump.at, s.at())
		require.Equal(t, jump.sessions, sessions(t, s.scene))
	}
	require.NoError(t, s.Steer(recording.Steering{Speed: ptr(1), AtMs: ptr(1500)}), "both at once")
	s.pass(1)
	require.EqualValues(t, 1600, s.at())
}

func TestALoopBeginsAnew(t *testing.T) {
	s := play(t, recording.Options{Recording: counted(t, 3), Speed: 1, Loop: true})
	s.pass(2)
	require.EqualValues(t, 1200, s.at())
	_, version := s.scene.Frame(0)
	s.pass(1)
	f, _ := s.scene.Frame(version)
	require.True(t, f.GetWhole(), "what the end showed is gone")
	require.EqualValues(t, 1000, s.at())
	require.Equal(t, 1, sessions(t, s.scene))
}

func TestSteeringIsRefused(t *testing.T) {
	s := play(t, recording.Options{Recording: counted(t, 3), Speed: 0})
	for name, wrong := range map[string]recording.Steering{
		"nothing":         {},
		"backwards":       {Speed: ptr(-1)},
		"too fast":        {Speed: ptr(recording.MaxSpeed + 1)},
		"no speed":        {Speed: ptr(math.NaN())},
		"before 0":        {AtMs: ptr(-1)},
		"no time":         {AtMs: ptr(math.NaN())},
		"no end of time":  {AtMs: ptr(math.Inf(1))},
		"right and wrong": {Speed: ptr(1), AtMs: ptr(-1)},
	} {
		require.ErrorIs(t, s.Steer(wrong), recording.ErrSteering, name)
	}
	f, _ := s.scene.Frame(0)
	require.Zero(t, f.GetRecording().GetSpeed(), "nothing of it is done")
	_, err := recording.NewPlayer(recording.Options{Recording: counted(t, 1), Scene: s.scene, Clock: s.clock, Speed: -1})
	require.ErrorIs(t, err, recording.ErrSteering)
}
