package scenario_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
)

func TestParseEvent(t *testing.T) {
	for text, want := range map[string]scenario.Event{
		"10s:scale=10":         {At: 10 * time.Second, Kind: scenario.KindScale, Pods: 10},
		"1m30s:kill":           {At: 90 * time.Second, Kind: scenario.KindKill},
		"0s:kill=jarvis-2":     {Kind: scenario.KindKill, Pod: "jarvis-2"},
		"5s:stop":              {At: 5 * time.Second, Kind: scenario.KindStop},
		"5s:freeze=jarvis-1":   {At: 5 * time.Second, Kind: scenario.KindFreeze, Pod: "jarvis-1"},
		"6s:thaw":              {At: 6 * time.Second, Kind: scenario.KindThaw},
		"500ms:rollout":        {At: 500 * time.Millisecond, Kind: scenario.KindRollout},
		"4s:redis=down":        {At: 4 * time.Second, Kind: scenario.KindRedis},
		"9s:redis=up":          {At: 9 * time.Second, Kind: scenario.KindRedis, Up: true},
		"4s:smaran=kill":       {At: 4 * time.Second, Kind: scenario.KindSmaran},
		"4s:scale=65535":       {At: 4 * time.Second, Kind: scenario.KindScale, Pods: 65535},
		"1h0m0s:thaw=jarvis-9": {At: time.Hour, Kind: scenario.KindThaw, Pod: "jarvis-9"},
	} {
		got, err := scenario.ParseEvent(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseEventRefuses(t *testing.T) {
	for _, text := range []string{
		"", "kill", "10s", "10s:", "10:kill", "-1s:kill", "10s:explode", "10s:scale", "10s:scale=", "10s:scale=0", "10s:scale=x",
		"10s:scale=-3", "10s:scale=70000", "10s:kill=", "10s:rollout=1", "10s:redis", "10s:redis=off", "10s:smaran", "10s:smaran=up",
		"10s:KILL", "10s: kill",
	} {
		_, err := scenario.ParseEvent(text)
		require.ErrorIs(t, err, scenario.ErrEvent, text)
		require.ErrorContains(t, err, "scale=10", "says what is right")
	}
}

func TestEventsSurviveTheirText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := scenario.Event{At: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "at"))}
		pod := rapid.SampledFrom([]string{"", "jarvis-1", "jarvis-17"}).Draw(t, "pod")
		switch e.Kind = rapid.SampledFrom([]scenario.Kind{
			scenario.KindScale, scenario.KindKill, scenario.KindStop, scenario.KindFreeze, scenario.KindThaw, scenario.KindRollout,
			scenario.KindRedis, scenario.KindSmaran,
		}).Draw(t, "kind"); e.Kind {
		case scenario.KindScale:
			e.Pods = rapid.IntRange(1, 200).Draw(t, "pods")
		case scenario.KindRedis:
			e.Up = rapid.Bool().Draw(t, "up")
		case scenario.KindRollout, scenario.KindSmaran:
		default:
			e.Pod = pod
		}
		var again scenario.Event
		require.NoError(t, again.UnmarshalText([]byte(e.String())))
		require.Equal(t, e, again)
	})
}

func TestSortedKeepsTheOrderOfEqualOffsets(t *testing.T) {
	kill := scenario.Event{At: time.Second, Kind: scenario.KindKill}
	scale := scenario.Event{At: time.Second, Kind: scenario.KindScale, Pods: 5}
	first := scenario.Event{Kind: scenario.KindRollout}
	given := []scenario.Event{scale, kill, first}
	require.Equal(t, []scenario.Event{first, scale, kill}, scenario.Sorted(given))
	require.Equal(t, []scenario.Event{scale, kill, first}, given, "the argument is left alone")
}
