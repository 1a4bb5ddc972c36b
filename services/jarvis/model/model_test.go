package model_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/session"
)

var story = model.Timings{
	SliceLoad:       500 * time.Millisecond,
	CacheRebuildMin: 250 * time.Millisecond,
	CacheRebuildMax: 300 * time.Millisecond,
	InferenceMean:   100 * time.Millisecond,
	InferenceSigma:  0.03,
}

func TestTimesAreTheStorys(t *testing.T) {
	const sessions = 20_000
	m := model.New(story, 1)
	var warm time.Duration
	inside := 0
	for i := range sessions {
		s := m.Stream(session.ID(fmt.Sprintf("session-%d", i)))
		load, inference := s.Load(), s.Inference()
		require.GreaterOrEqual(t, load, 750*time.Millisecond)
		require.LessOrEqual(t, load, 800*time.Millisecond)
		require.InDelta(t, 100, inference.Milliseconds(), 20)
		if cold := load + inference; cold >= 850*time.Millisecond && cold <= 900*time.Millisecond {
			inside++
		}
		warm += inference
	}
	require.InDelta(t, 0.952, float64(inside)/sessions, 0.01, "share of cold requests within 850 to 900 ms")
	require.InDelta(t, 100, float64(warm)/sessions/float64(time.Millisecond), 0.2, "mean of warm requests, ms")
}

func TestFiguresFollowFromSeedAndSessionAlone(t *testing.T) {
	take := func(m *model.Model, id session.ID) []time.Duration {
		s := m.Stream(id)
		return []time.Duration{s.Load(), s.Inference(), s.Inference()}
	}
	m := model.New(story, 7)
	first := take(m, "a")
	other := take(m, "b")
	require.Equal(t, first, take(m, "a"), "another session in between changes nothing")
	require.NotEqual(t, first, other)
	require.NotEqual(t, first, take(model.New(story, 8), "a"))
}

func TestWithoutSpreadTimesAreExact(t *testing.T) {
	s := model.New(model.Timings{SliceLoad: 5, CacheRebuildMin: 2, CacheRebuildMax: 2, InferenceMean: 0}, 1).Stream("a")
	require.EqualValues(t, 7, s.Load())
	require.Zero(t, s.Inference())
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	require.NoError(t, story.Validate())
	require.NoError(t, model.Timings{}.Validate())
	for name, broken := range map[string]struct {
		change func(*model.Timings)
		want   string
	}{
		"slice":         {func(t *model.Timings) { t.SliceLoad = -1 }, "slice load"},
		"rebuild order": {func(t *model.Timings) { t.CacheRebuildMax = t.CacheRebuildMin - 1 }, "min <= max"},
		"rebuild":       {func(t *model.Timings) { t.CacheRebuildMin = -1 }, "cache rebuild"},
		"mean":          {func(t *model.Timings) { t.InferenceMean = -1 }, "mean inference"},
		"sigma":         {func(t *model.Timings) { t.InferenceSigma = 1.5 }, "sigma"},
	} {
		t.Run(name, func(t *testing.T) {
			timings := story
			broken.change(&timings)
			require.ErrorContains(t, timings.Validate(), broken.want)
		})
	}
}

func TestAnswersAreShortAndValidText(t *testing.T) {
	m := model.New(story, 1)
	rapid.Check(t, func(t *rapid.T) {
		prompt := rapid.String().Draw(t, "prompt")
		answer := m.Stream("a").Answer(strings.Repeat(prompt, 20))
		require.NotEmpty(t, answer)
		require.LessOrEqual(t, len(answer), 200)
		require.True(t, utf8.ValidString(answer))
	})
}
