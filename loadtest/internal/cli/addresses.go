package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// addresses are those of each size of fleet when it was first seen. Rings hash a pod by its address: the same sessions move
// otherwise on a fleet that had to take other ports, and such runs do not compare.
type addresses map[int]string

// check makes a result invalid whose fleet started at other addresses than the first one with as many pods.
func (a addresses) check(r *reportv1.Result) {
	pods := r.GetSettings()[engine.SettingPods]
	if pods == "" {
		return
	}
	n := len(strings.Split(pods, engine.PodSeparator))
	first, ok := a[n]
	if !ok {
		a[n] = pods
		return
	}
	if pods == first {
		return
	}
	r.Valid = false
	why := fmt.Sprintf(
		"the pods started at %s, those of the first run with %d pods at %s: rings hash addresses, so the two do not compare; free the ports and run again",
		pods, n, first)
	if !slices.Contains(r.GetInvalidReasons(), why) { // a resumed one may have it already
		r.InvalidReasons = append(r.InvalidReasons, why)
	}
}
