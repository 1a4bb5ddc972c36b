package client_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
)

const (
	cold   = jarvisv1.CacheState_CACHE_STATE_COLD
	warm   = jarvisv1.CacheState_CACHE_STATE_WARM
	cached = jarvisv1.CacheState_CACHE_STATE_CACHED
)

func answer(turn uint64, previous string, state jarvisv1.CacheState) *smaranv1.InferResponse {
	return &smaranv1.InferResponse{Served: &jarvisv1.Served{Turn: turn, PreviousChecksum: previous, State: state, CallHeld: true}, Spoken: true}
}

func TestStateIsLostWhereTheConversationDoesNotGoOn(t *testing.T) {
	five := client.Point{Turn: 5, Checksum: "five"}
	for name, c := range map[string]struct {
		asked  client.Point
		answer *smaranv1.InferResponse
		lost   bool
	}{
		"the first answer":                         {client.Point{}, answer(1, "", cold), false},
		"the first answer from a pod that knows":   {client.Point{}, answer(9, "eight", warm), false},
		"the next turn":                            {five, answer(6, "five", warm), false},
		"the next turn, from the cache of results": {five, answer(6, "five", cached), false},
		"turns in between, by speech":              {five, answer(8, "seven", warm), false},
		"the turn went back":                       {five, answer(1, "", cold), true},
		"the turn stood still":                     {five, answer(5, "four", warm), true},
		"the right turn of another conversation":   {five, answer(6, "other", warm), true},
		"further on, and the pod had no copy":      {five, answer(8, "seven", cold), true},
	} {
		require.Equal(t, c.lost, client.Judge(c.asked, true, c.answer).StateLost, name)
		require.Equal(t, c.lost, client.Judge(c.asked, false, c.answer).StateLost, "%s, without a call", name)
	}
}

func TestAMisrouteTakesACall(t *testing.T) {
	elsewhere := &smaranv1.InferResponse{Served: &jarvisv1.Served{Turn: 1}}
	require.Equal(t, client.Verdict{Misroute: true, Unspoken: true}, client.Judge(client.Point{}, true, elsewhere))
	require.Equal(t, client.Verdict{}, client.Judge(client.Point{}, false, elsewhere))

	muted := &smaranv1.InferResponse{Served: &jarvisv1.Served{Turn: 1, CallHeld: true}}
	require.Equal(t, client.Verdict{Unspoken: true}, client.Judge(client.Point{}, true, muted))
}
