package turn

import (
	"github.com/jonboulle/clockwork"
	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"github.com/smaran-v2/smaran/services/turn/credential"
)

// access knows who may use the relay.
type access struct {
	secret  []byte
	clock   clockwork.Clock
	metrics *metrics
}

// key is pion/turn's question for a user's key; the request is held to it afterwards. That a credential expired is held against an
// allocation alone, not against the keeping of one: a browser can't change the credential of a call that goes on, and the call should not end
// for that. Only who made the allocation can keep it.
func (a *access) key(r *turn.RequestAttributes) (userID string, key []byte, ok bool) {
	expires, of, err := credential.Parse(r.Username)
	if err != nil {
		a.metrics.refuse(malformed)
		return "", nil, false
	}
	if r.Method == stun.MethodAllocate && !a.clock.Now().Before(expires) {
		a.metrics.refuse(expired)
		return "", nil, false
	}
	return of, turn.GenerateAuthKey(r.Username, r.Realm, credential.Password(a.secret, r.Username)), true
}
