package scene_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

func pod(name string, sessions uint32) *stagev1.Pod {
	return &stagev1.Pod{Lane: "a", Name: name, Sessions: sessions}
}

func podGone(name string) *stagev1.Gone {
	return &stagev1.Gone{Lane: "a", Thing: &stagev1.Gone_Pod{Pod: name}}
}

func TestAFrameIsWhatChangedSince(t *testing.T) {
	clock := clockwork.NewFakeClock()
	s := scene.New(clock)
	empty, v0 := s.Frame(0)
	require.True(t, empty.GetWhole(), "of an empty scene too")

	s.Change(func(c *scene.Change) { c.Pod(pod("one", 1)); c.Pod(pod("two", 1)) })
	first, v1 := s.Frame(v0)
	require.False(t, first.GetWhole())
	require.Len(t, first.GetPods(), 2)

	clock.Advance(1500 * time.Microsecond)
	s.Change(func(c *scene.Change) { c.Pod(pod("two", 2)) })
	second, v2 := s.Frame(v1)
	require.Equal(t, 1.5, second.GetAtMs())
	require.Len(t, second.GetPods(), 1)
	require.Equal(t, "two", second.GetPods()[0].GetName())
	both, _ := s.Frame(v0)
	require.Len(t, both.GetPods(), 2, "each once, in its last state")

	none, same := s.Frame(v2)
	require.Nil(t, none)
	require.Equal(t, v2, same)
	future, _ := s.Frame(v2 + 1)
	require.True(t, future.GetWhole(), "of a version that there was not")
}

func TestWhatIsThereAlreadyChangesNothing(t *testing.T) {
	s := scene.New(clockwork.NewFakeClock())
	s.Change(func(c *scene.Change) { c.Pod(pod("one", 1)) })
	_, v := s.Frame(0)
	next := s.Next(v)
	s.Change(func(c *scene.Change) {
		c.Pod(pod("one", 1))
		c.Remove(podGone("nobody"))
		c.Remove(&stagev1.Gone{Lane: "a"})
		c.Recording(nil)
	})
	f, _ := s.Frame(v)
	require.Nil(t, f)
	select {
	case <-next:
		require.Fail(t, "woken for nothing")
	default:
	}
}

func TestNextIsClosedByAChange(t *testing.T) {
	s := scene.New(clockwork.NewFakeClock())
	_, v := s.Frame(0)
	next := s.Next(v)
	s.Change(func(c *scene.Change) { c.Pod(pod("one", 1)) })
	for name, ch := range map[string]<-chan struct{}{"asked before": next, "asked after": s.Next(v)} {
		select {
		case <-ch:
		default:
			require.Fail(t, "not closed", name)
		}
	}
}

func TestWhatIsGoneIsSaidOnceAndNotToWhoNeverHadIt(t *testing.T) {
	s := scene.New(clockwork.NewFakeClock())
	s.Change(func(c *scene.Change) { c.Pod(pod("one", 1)) })
	_, had := s.Frame(0)
	s.Change(func(c *scene.Change) { c.Remove(podGone("one")) })
	f, v := s.Frame(had)
	require.True(t, proto.Equal(podGone("one"), f.GetGone()[0]))
	whole, _ := s.Frame(0)
	require.Empty(t, whole.GetGone())
	require.Empty(t, whole.GetPods())

	s.Change(func(c *scene.Change) { c.Pod(pod("one", 1)) })
	back, _ := s.Frame(v)
	require.Len(t, back.GetPods(), 1)
	require.Empty(t, back.GetGone())
}

// The scene does not grow by what is gone: who was away for more of it than is remembered gets everything.
func TestWhatIsLongGoneIsForgotten(t *testing.T) {
	s := scene.New(clockwork.NewFakeClock())
	s.Change(func(c *scene.Change) { c.Pod(pod("stays", 1)) })
	_, away := s.Frame(0)
	s.Change(func(c *scene.Change) { c.Pod(pod("brief", 1)) })
	var near uint64
	const many = 4097 // one more than is remembered
	for i := range many {
		name := fmt.Sprint("pod-", i)
		s.Change(func(c *scene.Change) { c.Pod(pod(name, 1)) })
		if i == many-1 {
			_, near = s.Frame(0)
		}
		s.Change(func(c *scene.Change) { c.Remove(podGone(name)) })
	}
	f, _ := s.Frame(away)
	require.True(t, f.GetWhole())
	require.Len(t, f.GetPods(), 2)
	f, _ = s.Frame(near)
	require.False(t, f.GetWhole(), "one who missed little is told that little")
	require.Len(t, f.GetGone(), 1)
}

func TestClearLeavesTheLanes(t *testing.T) {
	s := scene.New(clockwork.NewFakeClock())
	s.Change(func(c *scene.Change) {
		c.Lane(&stagev1.Lane{Id: "a"})
		c.Pod(pod("one", 1))
		c.Point(&stagev1.Point{Lane: "a", Second: 1})
		c.Ring(&stagev1.Ring{Lane: "a"})
	})
	_, v := s.Frame(0)
	s.Change(func(c *scene.Change) { c.Clear(); c.Pod(pod("two", 1)) })
	f, v := s.Frame(v)
	require.True(t, f.GetWhole(), "all readers begin anew")
	require.Len(t, f.GetLanes(), 1)
	require.Len(t, f.GetPods(), 1)
	require.Empty(t, f.GetPoints())
	require.Empty(t, f.GetRings())

	s.Change(func(c *scene.Change) { c.Pod(pod("two", 2)) })
	f, _ = s.Frame(v)
	require.False(t, f.GetWhole(), "and go on from there")
}

func TestOnlyTheLastSecondsAreKept(t *testing.T) {
	s := scene.New(clockwork.NewFakeClock())
	const kept = 600
	for second := range uint32(kept + 5) {
		s.Change(func(c *scene.Change) {
			c.Point(&stagev1.Point{Lane: "a", Second: second})
			c.Point(&stagev1.Point{Lane: "b", Second: second / 100}) // the same ones again and again
		})
	}
	f, _ := s.Frame(0)
	require.Len(t, f.GetPoints(), kept+kept/100+1)
	require.EqualValues(t, 5, f.GetPoints()[0].GetSecond(), "of a; the oldest left")
}

func TestTheTimesOfARecordingAreItsOwn(t *testing.T) {
	clock := clockwork.NewFakeClock()
	s := scene.New(clock)
	s.Change(func(c *scene.Change) { c.Recording(&stagev1.Recording{Command: "c", AtMs: 7}) })
	clock.Advance(time.Hour)
	f, v := s.Frame(0)
	require.EqualValues(t, 7, f.GetAtMs())
	s.Change(func(c *scene.Change) { c.Pod(pod("one", 1)) })
	f, v = s.Frame(v)
	require.Equal(t, "c", f.GetRecording().GetCommand(), "in every frame")
	s.Change(func(c *scene.Change) { c.Recording(nil) })
	f, _ = s.Frame(v)
	require.Nil(t, f.GetRecording())
	require.EqualValues(t, 3600_000, f.GetAtMs())
}

func TestPlayPutsAllOfAFrame(t *testing.T) {
	from, to := scene.New(clockwork.NewFakeClock()), scene.New(clockwork.NewFakeClock())
	var version uint64
	step := func(do func(*scene.Change)) {
		from.Change(do)
		var f *stagev1.Frame
		f, version = from.Frame(version)
		to.Change(func(c *scene.Change) { c.Play(f) })
		want, got := new(reader), new(reader)
		f, _ = from.Frame(0)
		want.take(f)
		f, _ = to.Frame(0)
		got.take(f)
		requireSame(t, want, got, "played")
	}
	step(func(c *scene.Change) {
		c.Lane(&stagev1.Lane{Id: "a"})
		c.Pod(pod("one", 1))
		c.Session(&stagev1.Session{Lane: "a", Id: "s"})
		c.Event(&stagev1.Event{Lane: "a", Id: 1})
		c.Point(&stagev1.Point{Lane: "a", Second: 1})
		c.Ring(&stagev1.Ring{Lane: "a"})
	})
	step(func(c *scene.Change) { c.Remove(podGone("one")); c.Pod(pod("two", 1)) })
	step(func(c *scene.Change) { c.Clear(); c.Pod(pod("three", 1)) })
}

func TestSince(t *testing.T) {
	clock := clockwork.NewFakeClock()
	s := scene.New(clock)
	clock.Advance(time.Second)
	require.Equal(t, time.Second, s.Since(clock.Now()))
	require.NotEqual(t, s.Instance, scene.New(clock).Instance)
}
