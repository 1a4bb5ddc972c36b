package fakefleet

import (
	"fmt"
	"time"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
)

// pod is guarded by its fleet's mu.
type pod struct {
	name, address string
	// gone is closed when the pod dies.
	gone  chan struct{}
	dead  bool
	talks map[string]*talk
	calls map[string]*call
}

// talk is a session's conversation.
type talk struct {
	turn     uint64
	checksum string
	// epoch counts its owners.
	epoch uint64
	ready time.Time
	// lost are the turns at which callers came over from a copy that is lost; at those it is not this one that is stale.
	lost map[uint64]bool
}

func newPod(name, address string) *pod {
	return &pod{name: name, address: address, gone: make(chan struct{}), talks: map[string]*talk{}, calls: map[string]*call{}}
}

func (p *pod) die() {
	if !p.dead {
		p.dead = true
		close(p.gone)
	}
}

// begin says what a request finds and how long it takes.
func (p *pod) begin(session string, lastTurn uint64) (jarvisv1.CacheState, time.Duration) {
	now := time.Now()
	t := p.talks[session]
	stale := t != nil && lastTurn > t.turn && !t.lost[lastTurn]
	if t == nil || stale && !now.Before(t.ready) {
		p.talks[session] = &talk{epoch: 1, ready: now.Add(Cold - Warm), lost: map[uint64]bool{lastTurn: true}}
		return jarvisv1.CacheState_CACHE_STATE_COLD, Cold
	}
	if stale {
		t.lost[lastTurn] = true
	}
	return jarvisv1.CacheState_CACHE_STATE_WARM, max(0, t.ready.Sub(now)) + Warm
}

// finish advances the conversation.
func (p *pod) finish(session string, state jarvisv1.CacheState) *jarvisv1.Served {
	s := &jarvisv1.Served{Pod: p.name, Address: p.address, Session: session, State: state, CallHeld: p.calls[session] != nil}
	if t := p.talks[session]; t != nil {
		s.PreviousChecksum = t.checksum
		t.turn++
		t.checksum = fmt.Sprintf("%s-%d", p.name, t.turn)
		s.Turn, s.Checksum, s.Epoch = t.turn, t.checksum, t.epoch
	}
	return s
}
