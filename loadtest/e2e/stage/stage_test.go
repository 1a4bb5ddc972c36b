package stage_test

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/wire"
)

// What a laptop is asked for at most: resident sets of all processes, in MiB, with 3 and with 10 pods a lane.
const (
	memoryAt3  = 1000
	memoryAt10 = 2200
)

// calls of each lane, unless it is told otherwise.
const calls = 12

// firstMove is how soon a newcomer has to see something move.
const firstMove = 10 * time.Second

func TestTheShow(t *testing.T) {
	s := open(t)
	require.Contains(t, s.page(t), "<html")
	lanes := []string{"a", "b"}

	s.await(t, "an answer to a caller of each lane", func(now scene) bool {
		a, _ := now.answered("a")
		b, _ := now.answered("b")
		return a > 0 && b > 0
	})
	moved := time.Since(s.began)
	t.Logf("first answers of both crowds were in the scene %.1f s after the start", moved.Seconds())
	require.Less(t, moved, firstMove)
	s.control = s.line(t, `^  \S+ ps --control (\S+)$`)
	s.await(t, "all calls", func(now scene) bool {
		_, a := now.answered("a")
		_, b := now.answered("b")
		return a == calls && b == calls
	})
	at3 := s.memory(t)

	t.Run("both lanes scale as one order", func(t *testing.T) {
		events := s.order(t, "scale", `{"pods":10}`, 2)
		now := s.await(t, "ten pods a lane", func(now scene) bool {
			return len(now.pods("a")) == 10 && len(now.pods("b")) == 10
		})
		for _, lane := range lanes {
			require.Equal(t, "scale=10", events[lane].GetName())
			require.NotNil(t, now.lane(lane).GetMeters().Expected, "both hash")
		}
		require.NotZero(t, now.lane("b").GetMeters().GetExpected(), "a ring of ten is no ring of three")
		s.await(t, "moves as they were computed, which cost lane b more conversations than lane a", func(now scene) bool {
			for _, lane := range lanes {
				if m := now.lane(lane).GetMeters(); m.Moved == nil || m.GetMoved() != m.GetExpected() {
					return false
				}
			}
			lost := func(lane string) uint32 { return now.lane(lane).GetMeters().GetCounts()[wire.CountStateLost] }
			return lost("b") > lost("a")
		})
	})
	at10 := s.memory(t)
	t.Logf("resident memory of all processes: %d MiB with 3 pods a lane, %d MiB with 10", at3, at10)
	require.Less(t, at3, uint64(memoryAt3))
	require.Less(t, at10, uint64(memoryAt10))

	t.Run("a backend takes the place of another", func(t *testing.T) {
		before := s.scene(t)
		s.order(t, "backend", `{"lane":"b","backend":"roundrobin"}`, 1)
		now := s.await(t, "calls of the new fleet", func(now scene) bool { _, up := now.answered("b"); return up == calls })
		require.Equal(t, "roundrobin", now.lane("b").GetBackend())
		require.Len(t, now.pods("b"), 3, "as many as it began with")
		require.Equal(t, before.lane("a").GetBackend(), now.lane("a").GetBackend())
		require.Len(t, now.pods("a"), 10, "the other lane goes on")
		require.Nil(t, now.lane("b").GetMeters().Expected, "nobody can compute where round robin sends a session")
	})
	t.Run("a pod is killed in both", func(t *testing.T) {
		events := s.order(t, "kill", `{"pod":"jarvis-2"}`, 2)
		for _, lane := range lanes {
			require.Equal(t, "jarvis-2", events[lane].GetPod())
		}
		s.await(t, "restarts", func(now scene) bool {
			again := 0
			for _, lane := range lanes {
				for _, p := range now.pods(lane) {
					again += int(p.GetRestarts())
				}
			}
			return again == 2
		})
	})
	t.Run("all begins anew", func(t *testing.T) {
		s.order(t, "reset", `{}`, 2)
		s.await(t, "three pods a lane, and all calls", func(now scene) bool {
			_, a := now.answered("a")
			_, b := now.answered("b")
			return len(now.pods("a")) == 3 && len(now.pods("b")) == 3 && a == calls && b == calls
		})
	})
	now := s.scene(t)
	for _, lane := range lanes {
		t.Logf("lane %s: share of requests that left late: %.3f", lane, now.lane(lane).GetLoad().GetLateShare())
	}

	all := s.processes(t)
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.fleet, "down", "--control", s.control).CombinedOutput()
	require.NoError(t, err, string(out))
	s.ended(t, all)
	t.Logf("it was down within %.1f s", time.Since(begin).Seconds())
}
