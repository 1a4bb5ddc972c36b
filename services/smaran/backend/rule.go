package backend

import (
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/session"
)

// Rule is implemented by a backend whose choice follows from the endpoints and nothing else.
type Rule interface {
	// Owner is the name of the pod that the endpoints, as this process knows them now, give the session to; false if there is none.
	Owner(session.ID) (pod string, ok bool)
}

// Owner implements Rule.
func (b *istioHash) Owner(id session.ID) (string, bool) {
	pods, err := b.pods.get()
	if err != nil {
		return "", false
	}
	return pods.rotation[pods.picker.Pick(affinity.HashValue(string(id)), 0)].Pod, true
}

// Owner implements Rule.
func (b *appHash) Owner(id session.ID) (string, bool) {
	pods, err := b.pods.get()
	if err != nil {
		return "", false
	}
	return pods.rendezvous(id, "").Pod, true
}
