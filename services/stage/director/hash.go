package director

import (
	"math"
	"slices"
	"strings"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// hash is how a lane's backend chooses a pod, where that follows from the endpoints alone. The zero hash is that it does not.
type hash struct {
	policy affinity.Policy
	ring   uint64 // entries at least, of a ring
}

func hashOf(s *fleetv1.StatusResponse) hash {
	name, _, _ := strings.Cut(s.GetBackend(), ":")
	policy, ok := backend.Name(name).Algorithm(mesh.Policy(s.GetPolicy()))
	if !ok {
		return hash{}
	}
	return hash{policy: policy, ring: s.GetRingSize()}
}

func (h hash) known() bool { return h.policy != "" }

func (h hash) options() affinity.Options { return affinity.Options{MinRingSize: h.ring} }

// position of a session on what ringOf draws; not ok for a policy without a circle or a table.
func (h hash) position(session string) (at float64, ok bool) {
	value := affinity.HashValue(session)
	switch h.policy {
	case affinity.PolicyRing:
		return onCircle(value), true
	case affinity.PolicyMaglev:
		return (float64(value%affinity.DefaultTableSize) + 0.5) / affinity.DefaultTableSize, true
	default:
		return 0, false
	}
}

func onCircle(hash uint64) float64 { return float64(hash) / (1 << 63) / 2 }

// moved is how many sessions go elsewhere once the hosts are others; nil where that can't be computed.
func (h hash) moved(from, to []affinity.Host, sessions []string) *uint32 {
	if !h.known() {
		return nil
	}
	p, err := affinity.Predict(h.policy, h.options(), from, to, sessions)
	if err != nil {
		return nil // a ring of a size that no mesh would take
	}
	moved := uint32(p.Moved)
	return &moved
}

// rotation are the hosts that get sessions, in the order that rings depend on, and the pods that they are.
type rotation struct {
	hosts []affinity.Host
	pods  []string
}

func rotationOf(s *fleetv1.StatusResponse) rotation {
	var r rotation
	history := s.GetHistory()
	if len(history) == 0 {
		return r
	}
	for _, e := range history[len(history)-1].GetEndpoints() {
		if e.GetHealth() == endpoints.Healthy.String() {
			r.hosts = append(r.hosts, affinity.Host{Address: e.GetAddress()})
			r.pods = append(r.pods, e.GetPod())
		}
	}
	return r
}

func (r rotation) equal(o rotation) bool {
	return slices.Equal(r.hosts, o.hosts) && slices.Equal(r.pods, o.pods)
}

const (
	// maxEntries is how large a ring is shown; a page has fewer pixels than that on a circle.
	maxEntries = 16384
	// maxSlots is how many slots of a Maglev table are shown, at most.
	maxSlots = 2048
)

// ringOf is nil for backends without a ring, and where there is no pod on it.
func ringOf(h hash, r rotation) *stagev1.Ring {
	if len(r.hosts) == 0 {
		return nil
	}
	out := &stagev1.Ring{Policy: string(h.policy), Pods: r.pods}
	switch h.policy {
	case affinity.PolicyRing:
		ring, err := affinity.NewRing(r.hosts, h.options())
		if err != nil || ring.Size() > maxEntries {
			return nil
		}
		for end, host := range ring.Entries() {
			out.Ends = append(out.Ends, onCircle(end))
			out.Owners = append(out.Owners, uint32(host))
		}
	case affinity.PolicyMaglev:
		table, err := affinity.NewMaglev(r.hosts, h.options())
		if err != nil {
			return nil
		}
		every := int(math.Ceil(float64(table.Size()) / maxSlots))
		for slot := 0; slot < table.Size(); slot += every {
			out.Ends = append(out.Ends, float64(min(slot+every, table.Size()))/float64(table.Size()))
			out.Owners = append(out.Owners, uint32(table.Host(slot)))
		}
		out.Table = uint32(table.Size())
	default:
		return nil
	}
	return out
}
