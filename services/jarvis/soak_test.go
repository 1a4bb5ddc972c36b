package jarvis_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis/internal/history"
)

const (
	// soakTime is how long storms go on in every test run; the variable SOAK says otherwise (make soak).
	soakTime = 20 * time.Second
	// hang is how long one of them may take.
	hang = 2 * time.Minute
)

// TestOwnershipHistory has pods serve callers through storm after storm of faults, each in its own episode, and checks the history of each.
//
// The variable SOAK_SEED replays an episode: it comes first. The plan of its troubles is the same then, and so are the callers' choices; how
// they fall in between each other is up to the scheduler, so that it may take some runs until the same goes wrong.
func TestOwnershipHistory(t *testing.T) {
	t.Parallel()
	length, seed := soaked(t)
	t.Logf("SOAK_SEED=%d for %v", seed, length)
	var sum summary
	for begin := time.Now(); time.Since(begin) < length && !t.Failed(); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			guard := time.AfterFunc(hang, func() { panic(fmt.Sprintf("episode %d hangs", seed)) })
			defer guard.Stop()
			sum.check(t, newStorm(seed).run(t))
		})
	}
	t.Log(sum)
}

// soaked is for how long and with which seed a soak runs.
func soaked(t *testing.T) (length time.Duration, seed uint64) {
	t.Helper()
	length, seed = soakTime, rand.Uint64()
	var err error
	if text := os.Getenv("SOAK"); text != "" {
		length, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	if text := os.Getenv("SOAK_SEED"); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	return length, seed
}

// summary adds up what happened.
type summary struct {
	episodes, calm, requests, refused, moves, drops, violations int
	troubles                                                    map[trouble]int
	minted, mintedCalmly                                        float64
}

func (s *summary) check(t *testing.T, e *episode) {
	events := e.Events()
	s.episodes++
	if e.storm.calm {
		s.calm++
		s.mintedCalmly += e.minted
		if e.minted > 0 { // a pod did not answer in time: the machine is slow. It was counted.
			events = append([]history.Event{{Kind: history.Fault, Separates: true, Note: "a pod was taken for lost"}}, events...)
		}
	}
	s.requests += history.Count(events, history.Accepted) + history.Count(events, history.Refused)
	s.refused += history.Count(events, history.Refused)
	s.moves += history.Count(events, history.Granted)
	s.drops += history.Count(events, history.Dropped)
	s.minted += e.minted
	if s.troubles == nil {
		s.troubles = map[trouble]int{}
	}
	for _, step := range e.storm.steps {
		s.troubles[step.trouble]++
	}
	for _, v := range history.Check(e.storm.seed, events) {
		s.violations++
		t.Errorf("%v\n  what happened to it:%s", v, history.Digest(events, v.Session))
	}
}

func (s summary) String() string {
	return fmt.Sprintf("%d episodes (%d calm), %d requests (%d refused), %d moves, %.0f minted or restored (%.0f in calm ones), %d drops, troubles %v, %d violations",
		s.episodes, s.calm, s.requests, s.refused, s.moves, s.minted, s.mintedCalmly, s.drops, s.troubles, s.violations)
}
