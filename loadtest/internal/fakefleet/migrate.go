package fakefleet

import (
	"fmt"
	"net/http"
	"path"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	agent "github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/wire"
)

// destination is what a token stands for.
type destination struct{ session, pod string }

// Migrate tells the watchers of a session's call, present and future, to move to a pod.
func (f *Fleet) Migrate(session, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.holder(session)
	if p == nil {
		return
	}
	token := fmt.Sprint("token-", len(f.tokens)+1)
	f.tokens[token] = destination{session, to}
	told := p.calls[session]
	told.migrate = fmt.Sprintf(`{"migrate":{"pod":%q,"token":%q,"epoch":"%d"}}`, to, token, p.epoch(session)+1)
	close(told.changed)
	told.changed = make(chan struct{})
}

func (p *pod) epoch(session string) uint64 {
	if t := p.talks[session]; t != nil {
		return t.epoch
	}
	return 0
}

// destination is the pod that a token names. It answers one that is not this session's. It is called with mu held.
func (f *Fleet) destination(w http.ResponseWriter, session, token string) *pod {
	to, ok := f.tokens[token]
	if !ok || to.session != session {
		wire.Problem{Status: http.StatusBadRequest, Code: wire.CodeTokenRefused}.Write(w)
		return nil
	}
	for _, p := range f.pods {
		if p.name == to.pod && !p.dead {
			return p
		}
	}
	wire.Problem{Status: http.StatusServiceUnavailable, Code: wire.CodeUpstreamUnavailable}.Write(w)
	return nil
}

// claim is the first packet of a call's caller. One on standby gets its session from the pod that has it, whose call ends, or ends itself.
func (f *Fleet) claim(o client.Offered) (sounds bool) {
	session := path.Base(o.Location)
	f.mu.Lock()
	_, placed := f.offered(o)
	waiting := placed != nil && placed.standby
	f.mu.Unlock()
	if !waiting {
		return placed != nil
	}
	granted := f.Grant == nil || f.Grant()
	f.mu.Lock()
	defer f.mu.Unlock()
	p, still := f.offered(o)
	if still != placed {
		return false
	}
	placed.standby = false
	from := f.owner(session, placed)
	if !granted || from == nil {
		p.end(session, agent.ReasonNotGranted)
		return false
	}
	from.end(session, agent.ReasonMoved)
	if t := from.talks[session]; t != nil {
		delete(from.talks, session)
		t.epoch++
		p.talks[session] = t
	}
	return true
}

// owner is the pod of the session's other call.
func (f *Fleet) owner(session string, besides *call) *pod {
	for _, p := range f.pods {
		if c := p.calls[session]; c != nil && c != besides && !p.dead {
			return p
		}
	}
	return nil
}
