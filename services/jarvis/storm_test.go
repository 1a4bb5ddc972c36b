package jarvis_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// trouble is a kind of fault, or of change.
type trouble string

const (
	// kill ends a pod with all that it has. It comes back as another process at the same address.
	kill trouble = "kill"
	// leave drains a pod and ends it.
	leave trouble = "leave"
	// join starts a pod, prepared for or not.
	join trouble = "join"
	// freeze lets nothing in or out of a pod for a while, as SIGSTOP does. Unlike there, what it had begun goes on inside.
	freeze trouble = "freeze"
	// part cuts a pod off from another one, for what goes there, what comes back, or both.
	part trouble = "part"
	// isolate cuts a pod off from all others. Callers still reach it.
	isolate trouble = "isolate"
	// forget cuts a pod off from the archive's Redis.
	forget trouble = "forget"
	// shuffle takes a pod out of rotation, or puts it in again.
	shuffle trouble = "shuffle"
)

// separates is whether pods may take each other for lost for that reason.
func (t trouble) separates() bool { return slices.Contains([]trouble{kill, freeze, part, isolate}, t) }

// step is one trouble of a plan. Which and other choose among the pods that there are then.
type step struct {
	after time.Duration
	trouble
	which, other int
	lasts        time.Duration
	prepared     bool
	way          int
}

func (s step) String() string {
	return fmt.Sprintf("%s which=%d other=%d lasts=%v prepared=%t way=%d", s.trouble, s.which, s.other, s.lasts, s.prepared, s.way)
}

// storm is what happens in one episode. All of it follows from the seed; how requests and messages fall in between does not, since that is
// up to the scheduler.
type storm struct {
	seed     uint64
	pods     int
	sessions int
	// calm: nothing in it has pods take each other for lost.
	calm    bool
	archive bool
	steps   []step
	// skew is the longest that it takes until a pod, or the mesh, learns of new endpoints.
	skew time.Duration
	// delay is the longest of most messages, straggle of one in fifty.
	delay, straggle time.Duration
}

func newStorm(seed uint64) storm {
	rng := rand.New(rand.NewPCG(seed, 0))
	s := storm{seed: seed, pods: 3 + rng.IntN(2), sessions: 8, calm: rng.IntN(4) == 0, archive: rng.IntN(2) == 0,
		skew: time.Duration(rng.IntN(200)) * time.Millisecond, delay: time.Duration(rng.IntN(4)) * time.Millisecond}
	kinds := []trouble{leave, join, shuffle, shuffle, forget}
	if !s.calm {
		kinds = append(kinds, kill, kill, freeze, freeze, part, part, part, isolate)
		s.straggle = time.Duration(rng.IntN(700)) * time.Millisecond
	}
	for range 8 + rng.IntN(8) {
		s.steps = append(s.steps, step{
			after: time.Duration(20+rng.IntN(250)) * time.Millisecond, trouble: kinds[rng.IntN(len(kinds))],
			which: rng.IntN(1 << 20), other: rng.IntN(1 << 20), lasts: time.Duration(50+rng.IntN(900)) * time.Millisecond,
			prepared: rng.IntN(2) == 0, way: rng.IntN(3),
		})
	}
	return s
}
