package state_test

import (
	"encoding/binary"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/jarvis/state"
)

// The chain is part of the API: callers check it. Values from the reference implementation of XXH64 (python-xxhash), over
// previous checksum and turn as 8 big-endian bytes each and the prompt.
func TestChecksumVectors(t *testing.T) {
	first := state.Checksum(0).Next(1, "hello")
	second := first.Next(2, "")
	require.Equal(t, "68d5c9f67f15099f", state.Point{Turn: 1, Checksum: first}.Text())
	require.Equal(t, "90136804a2135cc5", state.Point{Turn: 2, Checksum: second}.Text())
}

func TestChecksumIsTheHashOfItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		previous, turn := rapid.Uint64().Draw(t, "previous"), rapid.Uint64().Draw(t, "turn")
		prompt := rapid.String().Draw(t, "prompt")
		input := binary.BigEndian.AppendUint64(nil, previous)
		input = binary.BigEndian.AppendUint64(input, turn)
		input = append(input, prompt...)
		require.EqualValues(t, xxhash.Sum64(input), state.Checksum(previous).Next(turn, prompt))
	})
}

func TestPointsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := state.Point{Turn: rapid.Uint64Min(1).Draw(t, "turn"), Checksum: state.Checksum(rapid.Uint64().Draw(t, "checksum"))}
		got, err := state.ParsePoint(want.Turn, want.Text())
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
	require.Empty(t, state.Point{}.Text(), "before the first answer")
}

func TestParsePointTakesBothOrNeither(t *testing.T) {
	got, err := state.ParsePoint(0, "")
	require.NoError(t, err)
	require.Zero(t, got)
	for name, in := range map[string]struct {
		turn     uint64
		checksum string
	}{
		"turn alone":       {3, ""},
		"checksum alone":   {0, "00000000000000ff"},
		"too short":        {3, "ff"},
		"too long":         {3, "000000000000000ff"},
		"not hexadecimal":  {3, "000000000000000g"},
		"signed":           {3, "+00000000000000f"},
		"with underscores": {3, "0000_0000_0000_0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := state.ParsePoint(in.turn, in.checksum)
			require.ErrorContains(t, err, "16 hex digits")
		})
	}
}
