package state_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/jarvis/state"
	"github.com/smaran-v2/smaran/services/session"
)

// one is the session that the stores hand to one another.
const one = "s"

// peer is a store among others, with what its model knows of it.
type peer struct {
	*state.Store
	name, incarnation string
	// losses are the drops that it counted, counted those until the last step.
	losses, counted int
	// giving is one that has begun, answering those that hold the session.
	giving    *state.Giving
	answering []holding

	// title and at are as they were after the last step.
	title state.Title
	at    state.Point
}

type holding struct {
	state.Inference
	release func()
}

// owns is whether it takes itself for the owner, also while it gives the session away.
func (p *peer) owns() bool { return p.title.Owner == "" && p.title.Epoch > 0 }

// mail is a message on its way: a copy under its owner's title, or the session for the one that the title names.
type mail struct {
	to    *peer
	title state.Title
	snap  state.Snapshot
	given bool
}

// world is all stores and all that is between them.
type world struct {
	peers []*peer
	mail  []mail
	// own is how often a store became an owner by no owner's word.
	own int
	// before is each point's predecessor, from all answers.
	before map[state.Point]state.Point
	// lost are the points that callers brought to a store which had not had them, and counted that.
	lost map[state.Point]bool
	// last is the last answer of each title, and losses what its store had counted then.
	last   map[state.Title]state.Point
	losses map[state.Title]int
}

func newWorld(t require.TestingT, n int) *world {
	w := &world{before: map[state.Point]state.Point{}, lost: map[state.Point]bool{}, last: map[state.Title]state.Point{}, losses: map[state.Title]int{}}
	clock := clockwork.NewFakeClock()
	for i := range n {
		p := &peer{name: fmt.Sprintf("jarvis-%d", i), incarnation: string(rune('a' + i))}
		var err error
		p.Store, err = state.New(state.Options{Max: 10, Idle: idleTime, Results: 2, Clock: clock, Model: model.New(exact, 1),
			Incarnation: p.incarnation, Handed: true, OnDropped: func(_ session.ID, _ state.Dropped) { p.losses++ }})
		require.NoError(t, err)
		w.peers = append(w.peers, p)
	}
	return w
}

// follows is whether a conversation that stands at one point has had another.
func (w *world) follows(at, from state.Point) bool {
	for at != from {
		before, ok := w.before[at]
		if !ok {
			return false
		}
		at = before
	}
	return true
}

// TestStoresKeepOneOwner hands a session from store to store by messages that are lost, repeated and late, and has stores take it by their
// own word in between. There are never more owners than such words, titles only rise, and a conversation that an owner went on with is
// gone on with, or its loss is counted.
func TestStoresKeepOneOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, rapid.IntRange(2, 3).Draw(t, "stores"))
		some := rapid.SampledFrom(w.peers)
		another := func(t *rapid.T, p *peer) *peer {
			return some.Filter(func(other *peer) bool { return other != p }).Draw(t, "to")
		}
		owner := func(t *rapid.T) *peer {
			p := some.Draw(t, "store")
			if !p.owns() {
				t.Skip("it owns nothing")
			}
			return p
		}
		t.Repeat(map[string]func(*rapid.T){
			"mint": func(t *rapid.T) {
				p := some.Draw(t, "store")
				seen := rapid.Uint64Range(0, w.highest()).Draw(t, "seen")
				epoch, err := p.Mint(one, seen)
				if p.giving != nil {
					require.ErrorAs(t, err, new(*state.GivingError))
					return
				}
				require.NoError(t, err)
				require.GreaterOrEqual(t, epoch, seen)
				if !p.owns() || epoch != p.title.Epoch {
					require.Greater(t, epoch, max(seen, p.title.Epoch))
				}
				if !p.owns() {
					w.own++
				}
			},
			"begin an answer": func(t *rapid.T) {
				p := some.Draw(t, "store")
				held, release, err := p.HoldOwned(one)
				if err != nil {
					require.False(t, p.owns() && p.giving == nil, "%v", err)
					return
				}
				require.True(t, p.owns())
				points := append([]state.Point{{}}, w.points()...)
				last := rapid.SampledFrom(points).Draw(t, "last")
				known, losses := last == state.Point{} || p.Knows(one, last), p.losses
				p.answering = append(p.answering, holding{held.Begin(state.Request{Prompt: fmt.Sprint(len(w.before)), Last: last}), release})
				if !known {
					w.lost[last] = true
				}
				require.True(t, known || p.losses > losses, "a caller stood elsewhere, and nobody counted it")
			},
			"end an answer": func(t *rapid.T) {
				p := some.Draw(t, "store")
				if len(p.answering) == 0 {
					t.Skip("none has begun")
				}
				answering := p.answering[0]
				p.answering = p.answering[1:]
				w.end(t, p, answering)
				answering.release()
			},
			"give up an answer": func(t *rapid.T) {
				p := some.Draw(t, "store")
				for _, answering := range p.answering {
					answering.release()
				}
				p.answering = nil
			},
			"send a copy": func(t *rapid.T) {
				p := owner(t)
				snap, title, err := p.Snapshot(one)
				require.NoError(t, err)
				title.Owner, title.Incarnation = p.name, p.incarnation
				w.mail = append(w.mail, mail{to: another(t, p), title: title, snap: snap})
			},
			"begin to give": func(t *rapid.T) {
				p := owner(t)
				giving, err := p.Give(one)
				if p.giving != nil {
					require.ErrorAs(t, err, new(*state.GivingError))
					return
				}
				require.NoError(t, err)
				p.giving = giving
			},
			"give": func(t *rapid.T) {
				p := some.Draw(t, "store")
				if p.giving == nil || !closed(p.giving.Settled()) {
					t.Skip("nothing stands still to be given")
				}
				to := another(t, p)
				title, snap := p.giving.Next(to.name, to.incarnation)
				switch rapid.IntRange(0, 2).Draw(t, "how it ends") {
				case 0:
					p.giving.Cancel()
				case 1:
					w.mail = append(w.mail, mail{to: to, title: title, snap: snap, given: true})
					p.giving.TakeBack(title)
					w.own++
				case 2:
					w.mail = append(w.mail, mail{to: to, title: title, snap: snap, given: true})
					p.giving.Finish(title)
				}
				p.giving = nil
			},
			"deliver": func(t *rapid.T) {
				m, i := w.pick(t)
				if rapid.Bool().Draw(t, "once") {
					w.mail = slices.Delete(w.mail, i, i+1)
				}
				w.deliver(t, m)
			},
			"lose": func(t *rapid.T) {
				_, i := w.pick(t)
				w.mail = slices.Delete(w.mail, i, i+1)
			},
			"hear of an owner": func(t *rapid.T) {
				p := owner(t)
				title := state.Title{Epoch: p.title.Epoch, Owner: p.name, Incarnation: p.incarnation}
				another(t, p).GiveWay(one, title)
			},
			"": func(t *rapid.T) { w.check(t) },
		})
		for _, p := range w.peers {
			for _, answering := range p.answering {
				answering.release()
			}
		}
	})
}

func (w *world) highest() uint64 {
	highest := uint64(0)
	for _, p := range w.peers {
		highest = max(highest, p.title.Epoch)
	}
	return highest
}

// points are where callers may stand: at any answer.
func (w *world) points() []state.Point {
	points := make([]state.Point, 0, len(w.before))
	for p := range w.before {
		points = append(points, p)
	}
	slices.SortFunc(points, func(a, b state.Point) int {
		if a.Turn != b.Turn {
			return int(a.Turn) - int(b.Turn)
		}
		return slices.Compare([]byte(a.Text()), []byte(b.Text()))
	})
	return points
}

func (w *world) pick(t *rapid.T) (mail, int) {
	if len(w.mail) == 0 {
		t.Skip("nothing is on its way")
	}
	i := rapid.IntRange(0, len(w.mail)-1).Draw(t, "message")
	return w.mail[i], i
}

// end finishes an answer and adds it to what the model knows.
func (w *world) end(t *rapid.T, p *peer, answering holding) {
	answered, err := answering.FinishOwned()
	if err != nil {
		if p.owns() {
			require.ErrorIs(t, err, state.ErrReplaced)
		}
		return
	}
	require.True(t, p.owns())
	require.Equal(t, p.title.Epoch, answered.Epoch)
	require.Equal(t, p.at, answered.Previous)
	title := state.Title{Epoch: answered.Epoch, Incarnation: p.incarnation}
	if last, ok := w.last[title]; ok && last != answered.Previous {
		require.Greater(t, p.losses, w.losses[title], "a title's conversation forked")
	}
	w.last[title], w.losses[title] = answered.Point, p.losses
	w.before[answered.Point] = answered.Previous
}

func (w *world) deliver(t *rapid.T, m mail) {
	var err error
	if m.given {
		_, err = m.to.Own(one, m.title.Epoch, &m.snap)
	} else {
		_, err = m.to.Adopt(one, m.snap, m.title)
	}
	mine := state.Title{Epoch: m.to.title.Epoch, Incarnation: m.to.title.Incarnation}
	switch {
	case m.to.giving != nil:
		require.ErrorAs(t, err, new(*state.GivingError))
	case mine.Above(m.title):
		require.ErrorIs(t, err, state.ErrStaleEpoch, "a lower title got through")
	default:
		if err != nil {
			require.ErrorIs(t, err, state.ErrOwned)
		}
	}
}

// check compares every store with what it was before the step.
func (w *world) check(t *rapid.T) {
	owners := 0
	for _, p := range w.peers {
		kept, _ := p.Find(one)
		require.False(t, p.title.Above(kept.Title), "%s went down from %v to %v", p.name, p.title, kept.Title)
		if p.owns() && p.losses == p.counted && !w.lost[p.at] && !w.follows(kept.At, p.at) {
			require.Fail(t, "a conversation went back", "%s, from %v to %v", p.name, p.at, kept.At)
		}
		p.title, p.at = kept.Title, kept.At
		p.counted = p.losses
		if p.owns() {
			owners++
		}
	}
	require.LessOrEqual(t, owners, w.own)
}
