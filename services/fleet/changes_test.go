package fleet_test

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/fleet"
	"github.com/smaran-v2/smaran/services/testreal"
)

func TestKilledPodComesBackInPlace(t *testing.T) {
	h := startFleet(t, nil)
	before := h.pod(t, "jarvis-2")
	name, _, err := h.Kill(t.Context(), "jarvis-2")
	require.NoError(t, err)
	require.Equal(t, "jarvis-2", name)
	after := h.pod(t, "jarvis-2")
	require.Equal(t, before.GetAddress(), after.GetAddress())
	require.NotEqual(t, before.GetPid(), after.GetPid())
	require.Equal(t, uint32(1), after.GetRestarts())
	require.False(t, alive(t, int(before.GetPid())))
	require.Equal(t, []string{"", "1 2 3"}, h.versions(), "back before its death was noticed: no endpoint changed")
}

func TestSeedPicksTheSameVictim(t *testing.T) {
	var killed []string
	for range 2 {
		h := startFleet(t, func(c *fleet.Config) { c.Seed = 7 })
		first, _, err := h.Kill(t.Context(), "")
		require.NoError(t, err)
		second, _, err := h.Kill(t.Context(), "")
		require.NoError(t, err)
		killed = append(killed, first+" "+second)
		require.NoError(t, h.Close())
	}
	require.Equal(t, killed[0], killed[1])
}

func TestDeathIsNoticedAfterTheDelay(t *testing.T) {
	clock := clockwork.NewFakeClock()
	const detect, restart, batch = time.Second, 10 * time.Second, 100 * time.Millisecond
	h := newFleet(t, clock, func(c *fleet.Config) { c.Detect, c.RestartAfter, c.Batch = detect, restart, batch })
	require.NoError(t, h.Start(t.Context()))
	require.NoError(t, clock.BlockUntilContext(t.Context(), 2)) // the first pods' batch, which has nothing left to write

	done := make(chan error, 1)
	go func() {
		_, _, err := h.Kill(t.Context(), "jarvis-2")
		done <- err
	}()
	eventually(t, func() bool { return h.pod(t, "jarvis-2").GetPhase() == fleetv1.PodPhase_POD_PHASE_DEAD }, "dead")
	require.NoError(t, clock.BlockUntilContext(t.Context(), 4)) // and detection and restart
	clock.Advance(detect - time.Millisecond)
	require.Equal(t, []string{"", "1 2 3"}, h.versions(), "not noticed yet")

	clock.Advance(time.Millisecond)
	eventually(t, func() bool { return len(h.versions()) == 3 }, "noticed")
	require.Equal(t, "1 3", h.versions()[2])
	require.Equal(t, []string{"jarvis-1", "jarvis-3"}, []string{h.file(t).Endpoints[0].Pod, h.file(t).Endpoints[1].Pod})

	clock.Advance(restart - detect)
	eventually(t, func() bool { return h.pod(t, "jarvis-2").GetPhase() == fleetv1.PodPhase_POD_PHASE_READY }, "back")
	require.NoError(t, clock.BlockUntilContext(t.Context(), 2)) // pause and limit of the batch
	clock.Advance(batch)
	require.NoError(t, <-done)
	require.Equal(t, []string{"", "1 2 3", "1 3", "1 3 2"}, h.versions())
}

func TestUnaskedDeathIsReportedWithItsLastLines(t *testing.T) {
	h := startFleet(t, nil)
	pid := h.pod(t, "jarvis-1").GetPid()
	require.NoError(t, syscall.Kill(int(pid), syscall.SIGKILL))
	eventually(t, func() bool {
		p := h.pod(t, "jarvis-1")
		return p.GetPid() != pid && p.GetPhase() == fleetv1.PodPhase_POD_PHASE_READY
	}, "started anew")
	notices := h.Status().GetNotices()
	last := notices[len(notices)-1]
	require.Contains(t, last.GetText(), "jarvis-1 died without being asked to (signal: killed)")
	require.Equal(t, []string{"double starts"}, last.GetLogLines())
}

func TestPsShowsWhyAPodDied(t *testing.T) {
	p := up(t)
	pid := p.status.GetPods()[0].GetPid()
	require.NoError(t, syscall.Kill(int(pid), syscall.SIGKILL))
	eventually(t, func() bool { return strings.Contains(p.verb(t, "ps"), "died without being asked to") }, "noticed")
	require.Regexp(t, `(?m)died without being asked to .*\n {12}double starts$`, p.verb(t, "ps"))
	p.verb(t, "down")
	p.ends(t)
}

func TestScaleOutThenInEndsTheNewest(t *testing.T) {
	h := startFleet(t, nil)
	after, err := h.Scale(t.Context(), 6)
	require.NoError(t, err)
	require.Equal(t, "1 2 3 4 5 6", sorted(brief(after)))

	after, err = h.Scale(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, "1 2", brief(after))
	require.Equal(t, []string{"jarvis-1", "jarvis-2"}, h.names())
	require.Contains(t, sortedAll(h.versions()), "1 2 3* 4* 5* 6*", "all drained in one version before any was gone")

	after, err = h.Scale(t.Context(), 3)
	require.NoError(t, err)
	require.Equal(t, "1 2 7", brief(after), "numbers are never used again")
}

func TestScaleOutThatFailsKeepsWhatRuns(t *testing.T) {
	bin := newBinDir(t)
	h := startFleet(t, func(c *fleet.Config) { c.BinDir = bin })
	well := misbehave(t, bin, "jarvis", crash, "out of memory")
	_, err := h.Scale(t.Context(), 4)
	require.ErrorIs(t, err, fleet.ErrNotReady)
	require.ErrorContains(t, err, "out of memory")
	require.Equal(t, []string{"", "1 2 3"}, h.versions())

	well()
	eventually(t, func() bool { return h.pod(t, "jarvis-4").GetPhase() == fleetv1.PodPhase_POD_PHASE_READY }, "it is tried on")
}

func TestStopDrainsThenReplaces(t *testing.T) {
	h := startFleet(t, nil)
	pid := h.pod(t, "jarvis-1").GetPid()
	name, after, err := h.Stop(t.Context(), "jarvis-1")
	require.NoError(t, err)
	require.Equal(t, "jarvis-1", name)
	require.Equal(t, "2 3 4", brief(after))
	require.Equal(t, "1* 2 3", h.versions()[2], "it drains before anything else changes")
	require.False(t, alive(t, int(pid)))
}

func TestStopKillsOneThatIgnoresIt(t *testing.T) {
	bin := newBinDir(t)
	misbehave(t, bin, "jarvis", stubborn, "")
	h := startFleet(t, func(c *fleet.Config) { c.BinDir, c.Grace = bin, 0 })
	old := h.pod(t, "jarvis-3").GetPid()
	begin := time.Now()
	_, _, err := h.Stop(t.Context(), "jarvis-3")
	require.NoError(t, err)
	require.False(t, alive(t, int(old)))
	require.GreaterOrEqual(t, time.Since(begin), time.Second, "it had its time")
	// The replacement was there long before.
	require.Equal(t, []string{"", "1 2 3", "1 2 3*", "1 2 3* 4", "1 2 4"}, h.versions())
}

func TestRolloutNeverHasFewerInRotation(t *testing.T) {
	h := startFleet(t, nil)
	after, err := h.Rollout(t.Context())
	require.NoError(t, err)
	require.Equal(t, "4 5 6", brief(after))
	for _, version := range h.versions()[1:] {
		healthy := 0
		for _, pod := range strings.Fields(version) {
			if !strings.HasSuffix(pod, "*") {
				healthy++
			}
		}
		require.GreaterOrEqual(t, healthy, 3, version)
		require.LessOrEqual(t, healthy, 4, version)
	}
	require.Equal(t, []string{"jarvis-4", "jarvis-5", "jarvis-6"}, h.names())
}

func TestRolloutEndsWhereANewPodDoesNotGetReady(t *testing.T) {
	bin := newBinDir(t)
	h := startFleet(t, func(c *fleet.Config) { c.BinDir = bin })
	misbehave(t, bin, "jarvis", crash, "bad image")
	_, err := h.Rollout(t.Context())
	require.ErrorIs(t, err, fleet.ErrNotReady)
	require.Equal(t, []string{"", "1 2 3"}, h.versions(), "the old pods go on")
}

func TestFrozenPodStaysInTheEndpoints(t *testing.T) {
	h := startFleet(t, nil)
	name, err := h.Freeze(t.Context(), "jarvis-2")
	require.NoError(t, err)
	require.Equal(t, "jarvis-2", name)
	pid := int(h.pod(t, "jarvis-2").GetPid())
	eventually(t, func() bool { return state(t, pid) == "T" }, "stopped")
	require.Equal(t, fleetv1.PodPhase_POD_PHASE_FROZEN, h.pod(t, "jarvis-2").GetPhase())
	require.Equal(t, []string{"", "1 2 3"}, h.versions())

	thawed, err := h.Thaw(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"jarvis-2"}, thawed)
	eventually(t, func() bool { return state(t, pid) != "T" }, "going on")
	require.Equal(t, fleetv1.PodPhase_POD_PHASE_READY, h.pod(t, "jarvis-2").GetPhase())
	_, err = h.Thaw(t.Context(), "jarvis-2")
	require.ErrorIs(t, err, fleet.ErrPhase)
}

func TestFrozenPodCanBeKilled(t *testing.T) {
	h := startFleet(t, nil)
	_, err := h.Freeze(t.Context(), "jarvis-2")
	require.NoError(t, err)
	_, _, err = h.Kill(t.Context(), "jarvis-2")
	require.NoError(t, err)
	require.Equal(t, fleetv1.PodPhase_POD_PHASE_READY, h.pod(t, "jarvis-2").GetPhase())
}

func TestUnknownPod(t *testing.T) {
	h := startFleet(t, nil)
	_, _, err := h.Kill(t.Context(), "jarvis-9")
	require.ErrorIs(t, err, fleet.ErrUnknownPod)
	_, err = h.Freeze(t.Context(), "jarvis-9")
	require.ErrorIs(t, err, fleet.ErrUnknownPod)
	_, _, err = h.Stop(t.Context(), "jarvis-9")
	require.ErrorIs(t, err, fleet.ErrUnknownPod)
}

func TestKilledSmaranComesBackAtItsAddress(t *testing.T) {
	h := startFleet(t, nil)
	before := h.process(t, "smaran")
	var old []string
	get(t, "http://"+before.GetAdmin()+"/environ", &old)
	require.NoError(t, h.KillSmaran(t.Context()))
	after := h.process(t, "smaran")
	require.NotEqual(t, before.GetPid(), after.GetPid())
	require.Equal(t, before.GetAddress(), after.GetAddress())
	var now []string
	get(t, "http://"+after.GetAdmin()+"/environ", &now)
	require.Equal(t, lookup(old, "SMARAN_TOKEN_KEYS"), lookup(now, "SMARAN_TOKEN_KEYS"), "tokens outlast it")
}

func TestRedisGoesDownAndComesUpEmpty(t *testing.T) {
	for _, kind := range []string{fleet.RedisEmbedded, fleet.RedisReal} {
		t.Run(kind, func(t *testing.T) {
			if kind == fleet.RedisReal {
				t.Setenv("REDIS_SERVER_BIN", testreal.Binary(t, "redis-server"))
			}
			h := startFleet(t, func(c *fleet.Config) { c.Redis, c.Pods = kind, 1 })
			client := redis.NewClient(&redis.Options{Addr: h.process(t, "redis").GetAddress(), MaxRetries: -1})
			defer client.Close()
			require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())

			require.NoError(t, h.SetRedis(t.Context(), false))
			require.NoError(t, h.SetRedis(t.Context(), false), "what is so already stays so")
			_, err := net.Dial("tcp", client.Options().Addr)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.False(t, h.process(t, "redis").GetRunning())

			require.NoError(t, h.SetRedis(t.Context(), true))
			require.True(t, h.process(t, "redis").GetRunning())
			require.ErrorIs(t, client.Get(t.Context(), "k").Err(), redis.Nil)
		})
	}
}

func TestEmbeddedRedisExpires(t *testing.T) {
	h := startFleet(t, func(c *fleet.Config) { c.Pods = 1 })
	client := redis.NewClient(&redis.Options{Addr: h.process(t, "redis").GetAddress()})
	defer client.Close()
	require.NoError(t, client.Set(t.Context(), "short", "v", 20*time.Millisecond).Err())
	require.NoError(t, client.Set(t.Context(), "long", "v", time.Hour).Err())
	eventually(t, func() bool { return client.Exists(t.Context(), "short").Val() == 0 }, "expired")
	require.Equal(t, int64(1), client.Exists(t.Context(), "long").Val())
}

func TestChangesComeOneAtATime(t *testing.T) {
	clock := clockwork.NewFakeClock()
	h := newFleet(t, clock, func(c *fleet.Config) { c.RestartAfter = time.Minute })
	require.NoError(t, h.Start(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	killed := make(chan error, 1)
	go func() {
		_, _, err := h.Kill(ctx, "jarvis-1")
		killed <- err
	}()
	eventually(t, func() bool { return h.pod(t, "jarvis-1").GetPhase() == fleetv1.PodPhase_POD_PHASE_DEAD }, "dead")

	short, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	_, err := h.Scale(short, 1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "waiting for another change to end")
	require.Len(t, h.Status().GetPods(), 3)

	cancel() // whoever asked for the kill goes away
	require.ErrorIs(t, <-killed, context.Canceled)
	_, err = h.Freeze(t.Context(), "jarvis-2")
	require.NoError(t, err, "the turn is free again")
}

func TestDownEndsAChangeThatWaits(t *testing.T) {
	clock := clockwork.NewFakeClock()
	h := newFleet(t, clock, func(c *fleet.Config) { c.RestartAfter = time.Minute })
	require.NoError(t, h.Start(t.Context()))
	killed := make(chan error, 1)
	go func() {
		_, _, err := h.Kill(t.Context(), "jarvis-1")
		killed <- err
	}()
	eventually(t, func() bool { return h.pod(t, "jarvis-1").GetPhase() == fleetv1.PodPhase_POD_PHASE_DEAD }, "dead")
	require.NoError(t, h.Close())
	require.ErrorIs(t, <-killed, fleet.ErrClosed)
}

func sorted(version string) string { return sortedAll([]string{version})[0] }
