package tally

import (
	"cmp"
	"slices"
	"time"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// PodLoads is what each pod answered in [from, to), and the calls placed at it in the whole run, by the pod's name. A pod that is
// restarted under its name is one pod.
func PodLoads(r Records, from, to time.Duration) []*reportv1.PodLoad {
	byPod := map[string]*reportv1.PodLoad{}
	sessions := map[string]map[int]bool{}
	load := func(pod, address string) *reportv1.PodLoad {
		l, ok := byPod[pod]
		if !ok {
			l = &reportv1.PodLoad{Pod: pod, Address: address}
			byPod[pod], sessions[pod] = l, map[int]bool{}
		}
		l.Address = cmp.Or(l.Address, address)
		return l
	}
	for _, i := range r.Inferences {
		if i.State == Failed || i.Intended < from || i.Intended >= to {
			continue
		}
		load(i.Pod, i.Address).Requests++
		sessions[i.Pod][i.Call] = true
	}
	for _, s := range r.Setups {
		load(s.Pod, "").CallsPlaced++ // an answer to an offer does not carry the address
	}
	out := make([]*reportv1.PodLoad, 0, len(byPod))
	for pod, l := range byPod {
		l.Sessions = uint64(len(sessions[pod]))
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b *reportv1.PodLoad) int {
		return cmp.Or(cmp.Compare(len(a.Pod), len(b.Pod)), cmp.Compare(a.Pod, b.Pod)) // jarvis-2 before jarvis-10
	})
	return out
}
