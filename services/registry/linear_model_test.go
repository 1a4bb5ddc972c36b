package registry_test

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

// linearPods is how many pods want the session.
const linearPods = 3

// move is one step of a client: what it asks for, and which pod does it.
type move struct {
	kind  string // start, release, claim, assert, sweep, owner
	pod   int
	claim registry.Claim
	epoch uint64
	// incarnation of the process that starts, releases or asserts.
	incarnation string
}

// found is what it was answered. Unknown: nothing came back, and it may have been done or not, now or later.
type found struct {
	unknown, assigned, none bool
	owner                   modelSession
	reclaimed               int
}

// register is what the register of one session says, in words that can be compared.
type register struct {
	session modelSession
	pods    [linearPods]modelPod
}

func podName(i int) string { return fmt.Sprintf("jarvis-%d", i) }

func (r register) model() *model {
	m := &model{pods: map[string]modelPod{}, sessions: map[session.ID]modelSession{"s": r.session}}
	for i, p := range r.pods {
		if p.incarnation != "" {
			m.pods[podName(i)] = p
		}
	}
	return m
}

// do is what a move makes of the register, and what is answered.
func (r register) do(m move) (register, found) {
	switch model := r.model(); m.kind {
	case "start":
		r.pods[m.pod] = modelPod{m.incarnation, registry.StateReady}
	case "release":
		if r.pods[m.pod].incarnation == m.incarnation {
			r.pods[m.pod] = modelPod{}
		}
	case "claim":
		want, assigned, ok := model.claim("s", m.claim)
		if !ok {
			return r, found{none: true}
		}
		r.session = want
		return r, found{owner: want, assigned: assigned}
	case "assert":
		mine := modelSession{podName(m.pod), m.incarnation, m.epoch}
		switch {
		case r.session.epoch > m.epoch, r.session.epoch == m.epoch && r.session.pod != "" && (r.session.pod != mine.pod || r.session.incarnation != mine.incarnation):
			if r.session.pod == mine.pod && r.session.incarnation == mine.incarnation {
				return r, found{}
			}
			return r, found{owner: r.session, none: true}
		}
		r.session = mine
	case "sweep":
		if r.session.pod != "" && !model.live(r.session) {
			r.session = modelSession{epoch: r.session.epoch}
			return r, found{reclaimed: 1}
		}
	case "owner":
		if r.session.pod == "" {
			return r, found{none: true}
		}
		return r, found{owner: r.session}
	}
	return r, found{}
}

var registerModel = porcupine.Model{
	Init: func() any { return register{} },
	Step: func(state, input, output any) (bool, any) {
		m, got := input.(move), output.(found)
		next, want := state.(register).do(m)
		switch {
		case got.unknown: // at the end of all, it is as if it had not been done
			return true, next
		case m.kind == "sweep" && got.reclaimed == 0: // the owner may have changed between its two looks
			return true, state
		}
		return got == want, next
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
}
