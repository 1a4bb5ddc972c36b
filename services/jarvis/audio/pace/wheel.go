// Package pace sends media at its own pace for a whole process: one goroutine and one timer tick any number of members every
// 20 ms, spread over the interval so that they do not send in one burst. It knows nothing of what a member sends.
//
// A ticker a call costs a timer and a goroutine wake-up per call and frame; a wheel costs one wake-up per slot.
package pace

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jonboulle/clockwork"
)

// Member is ticked once an interval, from the wheel's goroutine, so it must not block. It may be ticked once more after it
// was removed.
type Member interface {
	// Tick is given how late the tick came, at least 0.
	Tick(lag time.Duration)
}

// Options of a wheel.
type Options struct {
	// Interval between two ticks of a member; must be above 0.
	Interval time.Duration
	// Slots is into how many parts the interval is divided; 0 means 10. More slots spread members finer and wake more often.
	Slots int
	// CatchUp is up to which lag missed ticks are made up for, at once. Beyond it they are left out: after a stall of
	// seconds (a frozen process) a burst of old frames would help nobody. 0 means 5 intervals.
	CatchUp time.Duration
	// Clock defaults to the real one.
	Clock clockwork.Clock
	// OnTick, where set, is told each slot's lag and how many members it ticked, from the wheel's goroutine.
	OnTick func(lag time.Duration, members int)
}

// Wheel ticks its members until it is closed.
type Wheel struct {
	opts  Options
	width time.Duration
	// slots are replaced, never changed, so that the wheel's goroutine reads them without the lock.
	slots []atomic.Pointer[[]*entry]
	wake  chan struct{}
	stop  chan struct{}
	done  chan struct{}

	mu     sync.Mutex
	closed bool
}

type entry struct{ member Member }

// NewWheel starts a wheel. Close ends it.
func NewWheel(o Options) *Wheel {
	if o.Slots == 0 {
		o.Slots = 10
	}
	if o.CatchUp == 0 {
		o.CatchUp = 5 * o.Interval
	}
	if o.Clock == nil {
		o.Clock = clockwork.NewRealClock()
	}
	w := &Wheel{
		opts: o, width: o.Interval / time.Duration(o.Slots), slots: make([]atomic.Pointer[[]*entry], o.Slots),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	for i := range w.slots {
		w.slots[i].Store(new([]*entry))
	}
	go w.run()
	return w
}

// Add has m ticked from now on, in the slot with the fewest members, until remove is called. Both are safe for concurrent
// use; remove more than once does nothing.
func (w *Wheel) Add(m Member) (remove func()) {
	e := &entry{m}
	w.mu.Lock()
	defer w.mu.Unlock()
	least := 0
	for i := range w.slots {
		if len(*w.slots[i].Load()) < len(*w.slots[least].Load()) {
			least = i
		}
	}
	slot := &w.slots[least]
	members := append(slices.Clip(*slot.Load()), e)
	slot.Store(&members)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		rest := slices.DeleteFunc(slices.Clone(*slot.Load()), func(o *entry) bool { return o == e })
		slot.Store(&rest)
	}
}

// Close ends the wheel and waits for its goroutine. Members added afterwards are never ticked.
func (w *Wheel) Close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.stop)
	}
	w.mu.Unlock()
	<-w.done
}

// run keeps a position (which slot is next) and the time it is due. Slots without members are passed without waking.
func (w *Wheel) run() {
	defer close(w.done)
	timer := w.opts.Clock.NewTimer(time.Hour)
	timer.Stop() // await sets it
	defer timer.Stop()
	next, due := 0, w.opts.Clock.Now()
	for {
		skip := w.emptySlots(next)
		if skip == len(w.slots) { // nobody is there: sleep until somebody is, and start afresh with him
			select {
			case <-w.stop:
				return
			case <-w.wake:
				next, due = (next+w.emptySlots(next))%len(w.slots), w.opts.Clock.Now()
				continue
			}
		}
		next, due = (next+skip)%len(w.slots), due.Add(time.Duration(skip)*w.width)
		if !w.await(timer, due) {
			return
		}
		lag := max(0, w.opts.Clock.Since(due))
		members := *w.slots[next].Load()
		for _, e := range members {
			e.member.Tick(lag)
		}
		if w.opts.OnTick != nil {
			w.opts.OnTick(lag, len(members))
		}
		if lag > w.opts.CatchUp {
			due = due.Add(lag)
		}
		next, due = (next+1)%len(w.slots), due.Add(w.width)
	}
}

// emptySlots counts the slots without members from i on, going round once.
func (w *Wheel) emptySlots(i int) int {
	for n := range w.slots {
		if len(*w.slots[(i+n)%len(w.slots)].Load()) > 0 {
			return n
		}
	}
	return len(w.slots)
}

// await returns at due, or false once the wheel is closed.
func (w *Wheel) await(timer clockwork.Timer, due time.Time) bool {
	wait := w.opts.Clock.Until(due)
	if wait <= 0 {
		select {
		case <-w.stop:
			return false
		default:
			return true
		}
	}
	timer.Reset(wait)
	select {
	case <-w.stop:
		return false
	case <-timer.Chan():
		return true
	}
}
