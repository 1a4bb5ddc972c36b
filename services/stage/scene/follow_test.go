package scene_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// following is a Follow in the background.
type following struct {
	frames chan *stagev1.Frame
	ended  chan error
	stop   context.CancelFunc
}

func follow(t *testing.T, s *scene.Scene, quiet time.Duration) *following {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	f := &following{frames: make(chan *stagev1.Frame), ended: make(chan error, 1), stop: stop}
	go func() {
		defer close(f.frames)
		f.ended <- s.Follow(ctx, 0, quiet, func(frame *stagev1.Frame, _ uint64) error {
			select {
			case f.frames <- frame:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	return f
}

func TestFollowShowsTheLastStateAtMostTenTimesASecond(t *testing.T) {
	clock := clockwork.NewFakeClock()
	s := scene.New(clock)
	f := follow(t, s, 0)
	require.True(t, (<-f.frames).GetWhole())
	for n := range uint32(50) { // all of them within one pace
		s.Change(func(c *scene.Change) { c.Pod(pod("one", n)) })
	}
	require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
	select {
	case <-f.frames:
		require.Fail(t, "a second frame at the same time")
	default:
	}
	clock.Advance(scene.Pace)
	second := <-f.frames
	require.Len(t, second.GetPods(), 1)
	require.EqualValues(t, 49, second.GetPods()[0].GetSessions())

	f.stop()
	require.ErrorIs(t, <-f.ended, context.Canceled)
}

func TestFollowSaysThatAllIsQuiet(t *testing.T) {
	clock := clockwork.NewFakeClock()
	s := scene.New(clock)
	f := follow(t, s, 5*time.Second)
	require.True(t, (<-f.frames).GetWhole())
	for range 3 {
		require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
		clock.Advance(5 * time.Second)
		require.Nil(t, <-f.frames)
	}
	f.stop()
	<-f.ended
}

func TestFollowEndsWithItsReader(t *testing.T) {
	broken := errors.New("reader left")
	s := scene.New(clockwork.NewFakeClock())
	require.ErrorIs(t, s.Follow(t.Context(), 0, 0, func(*stagev1.Frame, uint64) error { return broken }), broken)
}

// A reader that takes nothing holds up neither who changes the scene nor another reader.
func TestAStuckReaderHoldsUpNobody(t *testing.T) {
	clock := clockwork.NewRealClock()
	s := scene.New(clock)
	stuck := make(chan struct{})
	var all sync.WaitGroup
	entered := make(chan struct{})
	all.Go(func() {
		_ = s.Follow(t.Context(), 0, 0, func(*stagev1.Frame, uint64) error {
			close(entered)
			<-stuck
			return errors.New("enough")
		})
	})
	<-entered
	done := errors.New("seen")
	err := s.Follow(t.Context(), 0, 0, func(f *stagev1.Frame, _ uint64) error {
		s.Change(func(c *scene.Change) { c.Pod(pod("one", 1)) })
		if len(f.GetPods()) > 0 {
			return done
		}
		return nil
	})
	require.ErrorIs(t, err, done)
	close(stuck)
	all.Wait()
}
