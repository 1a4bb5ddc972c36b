package client

import "sync"

// Point is where a conversation stands: the turn and checksum of an answer. Zero: no answer yet.
type Point struct {
	Turn     uint64
	Checksum string
	// Epoch is the highest that any answer named.
	Epoch uint64
}

// ledger keeps the point that the next request names. Answers may come out of order, and after a move the answers of the
// old pod may still arrive: what counts is the answer to the request that was sent last.
type ledger struct {
	mu      sync.Mutex
	sent    uint64
	adopted uint64
	point   Point
	// known is the last request that was sent when the last loss was seen.
	known uint64
}

// next numbers a request and says where it stands.
func (l *ledger) next() (seq uint64, at Point) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	return l.sent, l.point
}

// adopt takes over an answer's point, unless the answer to a later request was there first.
func (l *ledger) adopt(seq uint64, p Point) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Epoch = max(p.Epoch, l.point.Epoch)
	if seq > l.adopted {
		l.adopted, l.point = seq, p
	}
	l.point.Epoch = p.Epoch
}

// lost says whether a request that shows a loss shows a new one: those sent before the caller saw a loss only show the same
// again.
func (l *ledger) lost(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq <= l.known {
		return false
	}
	l.known = l.sent
	return true
}

// epoch is the highest that any answer named.
func (l *ledger) epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.point.Epoch
}

// answered says whether any answer has come.
func (l *ledger) answered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.adopted > 0
}
