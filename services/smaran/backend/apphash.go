package backend

import (
	"context"

	"github.com/smaran-v2/smaran/services/affinity"
)

// appHash hashes in the application: rendezvous over the watched endpoints, so that only sessions of a pod that left, and those
// that a new pod takes, move.
type appHash struct {
	pods podSource
	rand *lockedRand
}

func newAppHash(d Deps) (Backend, error) {
	return &appHash{pods: podSource{endpoints: d.Endpoints, build: rendezvous}, rand: d.random()}, nil
}

func rendezvous(hosts []affinity.Host) (affinity.Picker, error) { return affinity.NewRendezvous(hosts) }

func (b *appHash) Route(ctx context.Context, r Request) (Target, error) {
	if err := ctx.Err(); err != nil {
		return Target{}, err
	}
	pods, err := b.pods.get()
	if err != nil {
		return Target{}, err
	}
	if r.Session == "" {
		return addressed(pods.rotation[b.rand.intN(len(pods.rotation))]), nil
	}
	return addressed(pods.rotation[pods.rendezvous(r)]), nil
}

// rendezvous is the index of the session's pod. Without the lost pod rendezvous picks what ranks next, which is where the
// session goes once the endpoints leave the lost pod out.
func (p *pods) rendezvous(r Request, avoid ...string) int {
	hash := affinity.HashValue(string(r.Session))
	first := p.picker.Pick(hash, 0)
	pick := first
	for attempt := uint32(1); attempt < uint32(len(p.rotation)) && p.avoided(pick, r.LostPod, avoid); attempt++ {
		pick = p.picker.Pick(hash, attempt)
	}
	if p.avoided(pick, r.LostPod, avoid) {
		return first
	}
	return pick
}

func (p *pods) avoided(i int, lost string, avoid []string) bool {
	name := p.rotation[i].Pod
	if name == "" {
		return false
	}
	for _, a := range avoid {
		if a == name {
			return true
		}
	}
	return name == lost
}

func (*appHash) Learn(context.Context, Request, Target, Outcome) Lesson { return Lesson{} }
