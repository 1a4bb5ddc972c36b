package client

import (
	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
)

// Verdict is what an answer shows.
type Verdict struct {
	// Misroute: the caller is on a call, and the pod does not hold it.
	Misroute bool
	// StateLost: the answer does not continue the conversation that the request named.
	StateLost bool
	// Unspoken: the caller is on a call, and the answer was not spoken on it.
	Unspoken bool
}

// Judge compares an answer with where the conversation stood when it was asked for. onCall says that the caller was on one
// and the same call when it asked and when the answer came.
func Judge(asked Point, onCall bool, r *smaranv1.InferResponse) Verdict {
	return Verdict{
		Misroute:  onCall && !r.GetServed().GetCallHeld(),
		Unspoken:  onCall && !r.GetSpoken(),
		StateLost: stateLost(asked, r.GetServed()),
	}
}

// stateLost is whether the turn or the checksum went back. A pod that has the conversation up to the turn that was named
// answers with a later turn; with the very next one, its previous checksum is the one that was named. Where others asked in between,
// so that the turn is further on, the pod's own word decides: it serves cold exactly what it has no copy of.
func stateLost(asked Point, s *jarvisv1.Served) bool {
	switch {
	case asked.Turn == 0:
		return false
	case s.GetTurn() <= asked.Turn:
		return true
	case s.GetTurn() == asked.Turn+1:
		return s.GetPreviousChecksum() != asked.Checksum
	default:
		return s.GetState() == jarvisv1.CacheState_CACHE_STATE_COLD
	}
}
