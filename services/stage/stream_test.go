package stage_test

import (
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

func put(s *scene.Scene, pods ...*stagev1.Pod) {
	s.Change(func(c *scene.Change) {
		for _, p := range pods {
			c.Pod(p)
		}
	})
}

func TestAStreamIsAWholeFrameAndThenWhatChanged(t *testing.T) {
	clock := clockwork.NewFakeClock()
	s := scene.New(clock)
	put(s, &stagev1.Pod{Lane: "a", Name: "jarvis-0"}, &stagev1.Pod{Lane: "a", Name: "jarvis-1"})
	h, err := stage.New(stage.Options{Scene: s, Doer: &doer{}})
	require.NoError(t, err)
	url, stop := serve(t, h)

	f := follow(t, url+"/api/v1/stream")
	first := f.frame()
	require.True(t, first.frame.GetWhole())
	require.Len(t, first.frame.GetPods(), 2)

	// What happens within 100 ms comes as one frame, with the last state alone.
	put(s, &stagev1.Pod{Lane: "a", Name: "jarvis-1", Sessions: 1})
	put(s, &stagev1.Pod{Lane: "a", Name: "jarvis-1", Sessions: 2})
	require.NoError(t, clock.BlockUntilContext(t.Context(), 2)) // the ticker of comments, and the pace
	clock.Advance(100 * time.Millisecond)
	second := f.frame()
	require.False(t, second.frame.GetWhole())
	require.Len(t, second.frame.GetPods(), 1)
	require.EqualValues(t, 2, second.frame.GetPods()[0].GetSessions())

	stop()
	_, more := f.next()
	require.False(t, more, "a stopping server ends its streams")
}
