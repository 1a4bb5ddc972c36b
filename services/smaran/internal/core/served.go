package core

import (
	"net/http"
	"strconv"
	"strings"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

// servedHeaders repeats in headers who answered and with what state.
func servedHeaders(h http.Header, served *jarvisv1.Served) {
	if served == nil {
		return
	}
	h.Set(wire.HeaderPod, served.GetPod())
	h.Set(wire.HeaderIncarnation, served.GetIncarnation())
	h.Set(wire.HeaderEpoch, strconv.FormatUint(served.GetEpoch(), 10))
	h.Set(wire.HeaderTurn, strconv.FormatUint(served.GetTurn(), 10))
	if through := served.GetThrough(); through != "" {
		h.Set(wire.HeaderForwarded, through)
	}
	if c := served.GetChecksum(); c != "" {
		h.Set(wire.HeaderChecksum, c)
	}
	if s := served.GetState(); s != jarvisv1.CacheState_CACHE_STATE_UNSPECIFIED {
		h.Set(wire.HeaderCacheState, strings.ToLower(strings.TrimPrefix(s.String(), "CACHE_STATE_")))
	}
}
