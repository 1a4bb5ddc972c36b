package crowd

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/tally"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// identity tells takes apart: where any of it changes, everybody starts anew.
type identity struct {
	smaran string
	seed   uint64
	take   uint32
}

// wanted is what an order asks of a take.
type wanted struct {
	calls      int
	period     time.Duration
	headerless bool
}

// newWanted fails with plan.ErrLoad.
func newWanted(o *stagev1.CrowdOrder) (wanted, error) {
	w := wanted{calls: int(o.GetCalls()), headerless: o.GetHeaderless()}
	if w.calls == 0 {
		return w, nil
	}
	var err error
	w.period, err = plan.Period(w.calls, o.GetRate())
	return w, err
}

// take is the callers with one set of sessions. Each is there until the take ends, on a call or not, so that one who comes back goes on with
// its conversation. It is guarded by present's mu.
type take struct {
	identity
	crowd   *Crowd
	callers *engine.Callers
	endless plan.Endless
	book    *book

	members []*member
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newTake(c *Crowd, transport http.RoundTripper, is identity) *take {
	t := &take{
		identity: is, crowd: c, endless: plan.NewEndless(is.seed, is.take), book: newBook(c.Clock, is.take),
	}
	t.callers = &engine.Callers{
		Seed: t.endless.Seed, BaseURLs: []string{strings.TrimSuffix(is.smaran, "/")}, Transport: transport,
		Behaviour: c.Behaviour, Phones: c.Phones, Clock: c.Clock, Epoch: c.Clock.Now(), End: engine.NoEnd, Log: c.Log, Tracer: c.Tracer, Propagator: c.Propagator,
	}
	t.ctx, t.cancel = context.WithCancel(context.Background()) // a take ends by end
	return t
}

// obey tells each caller what is wanted of it. Those whose call is to be placed do so one after another.
func (t *take) obey(w wanted) error {
	if err := t.grow(w.calls); err != nil {
		return err
	}
	now := t.crowd.Clock.Since(t.callers.Epoch)
	placing := 0
	for n, m := range t.members {
		if n < w.calls && m.newcomer(w) {
			placing++
		}
	}
	spacing, start := plan.Spacing(placing), now
	for n, m := range t.members {
		of := wish{wanted: w, here: n < w.calls, told: now, start: m.latest.start}
		if of.here && m.newcomer(w) {
			of.start = start
			start += spacing
		}
		m.tell(of)
	}
	return nil
}

// grow has n callers there at least.
func (t *take) grow(n int) error {
	if n <= len(t.members) {
		return nil
	}
	for call, id := range t.endless.Sessions(n) {
		if call < len(t.members) {
			continue
		}
		w := &witness{book: t.book, session: string(id), epoch: t.callers.Epoch}
		var told tally.Observer = w
		if t.crowd.Live != nil {
			told = both{w, t.crowd.Live}
		}
		c, err := t.callers.Caller(call, id, tally.Teller{Observer: told})
		if err != nil {
			return err
		}
		m := newMember(call, c, t.endless, t.callers, w)
		t.members = append(t.members, m)
		t.running.Go(func() { m.run(t.ctx) })
	}
	return nil
}

// end returns when all have hung up.
func (t *take) end() {
	t.cancel()
	t.running.Wait()
}
