package core

import (
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/session"
)

// maxCalls bounds the record; beyond, the call that was placed or watched the longest ago is forgotten.
const maxCalls = 100_000

// place is where a call was placed.
type place struct {
	pod, address, incarnation string
}

// calls records where the calls are that were placed through this process. It is used to address event streams and for nothing
// else: what the backends are compared by has to go their way. It does not outlive the process.
type calls struct {
	places *lru.Cache[session.ID, place]
}

func newCalls() (*calls, error) {
	places, err := lru.New[session.ID, place](maxCalls)
	if err != nil {
		return nil, fmt.Errorf("record of calls: %w", err)
	}
	return &calls{places: places}, nil
}

func (c *calls) placed(id session.ID, served *jarvisv1.Served) {
	if served.GetAddress() == "" {
		return
	}
	c.places.Add(id, place{pod: served.GetPod(), address: served.GetAddress(), incarnation: served.GetIncarnation()})
}

func (c *calls) at(id session.ID) (place, bool) { return c.places.Get(id) }

// ended forgets a call, unless it has been placed at another pod since.
func (c *calls) ended(id session.ID, incarnation string) {
	if p, ok := c.places.Peek(id); ok && p.incarnation == incarnation {
		c.places.Remove(id)
	}
}
