package istio

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	reproduced    = reportv1.Verdict_VERDICT_REPRODUCED
	notReproduced = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	depends       = reportv1.Verdict_VERDICT_DEPENDS
	notHere       = reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE
)

// steady is rounds of one median each, in ms, with a tail that is longer by a factor.
func steady(tail float64, medians ...float64) (r rounds) {
	for _, m := range medians {
		round := make([]time.Duration, 100)
		for i := range round {
			round[i] = time.Duration(m * float64(time.Millisecond))
			if i >= 95 {
				round[i] = time.Duration(tail * m * float64(time.Millisecond))
			}
		}
		r = append(r, round)
	}
	return r
}

func ways(both rounds) sidecars {
	none := steady(1, 0.5, 0.5, 0.6)
	return sidecars{none: none, again: steady(1, 0.5, 0.6, 0.6), one: none, both: both, envoy: "1.39.3"}
}

func speaks(connections, http2 float64, socket bool, many ...float64) protocol {
	return protocol{single: steady(1, 1, 1, 1), many: steady(2, many...), connections: connections, http2: http2, socket: socket}
}

// alone is the same with another latency of one request at a time.
func alone(p protocol, ms float64) protocol {
	p.single = steady(1, ms, ms, ms)
	return p
}

// Each judge is shown what would make it say otherwise.
func TestJudges(t *testing.T) {
	without, again := speaks(16, 0, true, 5, 5, 5), speaks(16, 0, true, 5, 5.2, 5)
	mutually := func(change func(*mutual)) claims.Finding {
		m := mutual{plainPermissive: 1, meshed: 1, refusal: "connection reset by peer", short: 4, usual: 1, asked: 700, handshakes: 700, full: 4}
		change(&m)
		return judgeStrict(m)
	}
	stoppedAnd := func(change func(*stopped)) claims.Finding {
		s := stopped{asked: 300, late: true, deadAsked: 20, deadFailed: 20, back: 2 * time.Second, backAsked: 70}
		change(&s)
		return judgeOutage(s)
	}
	lost := losses{asked: 900, failed: 20, sessions: 24, lostState: 24, short: 30, shortCut: 6, long: 12, longCut: 12}
	scaledAnd := func(change func([]moves)) claims.Finding {
		found := []moves{
			{name: "hash by header", with: keeps(60, 60, 29), control: keeps(60, 1, 0)},
			{name: "stateful by cookie", with: keeps(60, 60, 60), control: keeps(60, 0, 0)},
		}
		change(found)
		return judgeMoved(found, 31, 0.51)
	}
	canaryAnd := func(change func(*canaries)) claims.Finding {
		c := canaries{
			hash:    canaried{changed: shared{0, 200}},
			weights: canaried{changed: shared{130, 200}, second: shared{205, 2000}},
			bucket:  canaried{changed: shared{0, 1000}, started: shared{96, 1000}},
			without: shared{0, 200}, with: shared{200, 200},
		}
		change(&c)
		return judgeCanary(c)
	}
	darkAnd := func(change func(before, after *released)) claims.Finding {
		before := released{dev: shared{330, 1000}, other: shared{330, 1000}, none: shared{330, 1000}}
		after := released{dev: shared{1000, 1000}, other: shared{0, 1000}, none: shared{0, 1000}}
		change(&before, &after)
		return judgeDark(before, after)
	}
	unevenAnd := func(change func(*unevens)) claims.Finding {
		u := unevens{
			stateful: loaded{moved: shared{0, 60}, atNew: shared{0, 60}, peakByMean: 3.4}, ring: loaded{moved: shared{47, 60}, atNew: shared{44, 60}, peakByMean: 1.5},
			later: loaded{peakByMean: 1.8},
		}
		change(&u)
		return judgeUneven(u)
	}
	ringedAnd := func(byDefault, claimed float64) claims.Finding {
		return judgeRings([]ring{
			{size: 64, peakByMean: 1.6, asked: 9}, {size: 1024, peakByMean: byDefault, asked: 9}, {size: claimedRing, peakByMean: claimed, asked: 9},
		})
	}
	meteredAnd := func(change func(*metered)) claims.Finding {
		m := metered{sidecars: exposition{lines: 900, control: 80}, services: exposition{lines: 300, control: 9}, asked: 200}
		change(&m)
		return judgeMetrics(m)
	}
	for _, c := range []struct {
		claim uint32
		name  string
		found claims.Finding
		want  reportv1.Verdict
	}{
		{12, "more than claimed", scaledAnd(func([]moves) {}), depends},
		{12, "as claimed", judgeMoved([]moves{{with: keeps(60, 60, 36), control: keeps(60, 0, 0)}}, 24, 0.41), reproduced},
		{12, "as claimed by chance", judgeMoved([]moves{{with: keeps(60, 60, 36), control: keeps(60, 0, 0)}}, 24, 0.51), depends},
		{12, "other than predicted", scaledAnd(func(m []moves) { m[0].with = keeps(60, 60, 30) }), notHere},
		{12, "a control that keeps them", scaledAnd(func(m []moves) { m[1].control = keeps(60, 60, 60) }), notHere},
		{12, "a way that strays while nothing changes", scaledAnd(func(m []moves) { m[1].with = keeps(60, 59, 59) }), notHere},
		{12, "failures", scaledAnd(func(m []moves) { m[1].control.failed = 1 }), notHere},

		{15, "both halves", judgeUpgrade(without, again, alone(speaks(2, 2, false, 4, 4, 4), 0.5), "1"), reproduced},
		{15, "only under load", judgeUpgrade(without, again, speaks(2, 2, false, 4, 4, 4), "1"), depends},
		{15, "only one at a time", judgeUpgrade(without, again, alone(speaks(2, 2, false, 5, 5, 5), 0.5), "1"), depends},
		{15, "connections only", judgeUpgrade(without, again, speaks(2, 2, false, 5, 5.1, 5), "1"), depends},
		{15, "slower", judgeUpgrade(without, again, speaks(2, 2, false, 7, 7, 7), "1"), depends},
		{15, "latency only", judgeUpgrade(without, again, speaks(16, 16, false, 4, 4, 4), "1"), depends},
		{15, "neither", judgeUpgrade(without, again, speaks(16, 16, true, 5, 5, 5), "1"), notReproduced},
		{15, "not in effect", judgeUpgrade(without, again, speaks(16, 0, true, 5, 5, 5), "1"), notHere},
		{15, "less than equal ways differ by", judgeUpgrade(without, again, speaks(2, 2, true, 4.9, 4.9, 4.9), "1"), depends},

		{16, "as claimed", judgeSidecar(ways(steady(1, 2, 2, 2))), reproduced},
		{16, "as claimed but for the tail", judgeSidecar(ways(steady(9, 2, 2, 2))), depends},
		{16, "the tail alone", judgeSidecar(ways(steady(2, 1, 1, 1))), depends},
		{16, "less at the median, more in the tail", judgeSidecar(ways(steady(9, 0.9, 0.9, 0.9))), depends},
		{16, "less", judgeSidecar(ways(steady(1, 0.9, 0.9, 0.9))), notReproduced},
		{16, "more", judgeSidecar(ways(steady(1, 9, 9, 9))), notReproduced},
		{16, "noise", judgeSidecar(ways(steady(1, 0.5, 0.6, 0.6))), notHere},

		{17, "as claimed", judgeHeader(fallback{refused: 9, asked: 9, kept: headerSessions}, fallback{asked: 9, pods: 3, kept: headerSessions}), reproduced},
		{17, "strict lets some pass", judgeHeader(fallback{refused: 8, asked: 9, kept: headerSessions}, fallback{asked: 9, pods: 3, kept: headerSessions}), depends},
		{17, "lenient does not spread", judgeHeader(fallback{refused: 9, asked: 9, kept: headerSessions}, fallback{asked: 9, pods: 1, kept: headerSessions}), notReproduced},
		{17, "lenient refuses some", judgeHeader(fallback{refused: 9, asked: 9, kept: headerSessions}, fallback{refused: 1, asked: 9, pods: 3, kept: headerSessions}), notReproduced},
		{17, "lenient fails some", judgeHeader(fallback{refused: 9, asked: 9, kept: headerSessions}, fallback{failed: 1, asked: 9, pods: 3, kept: headerSessions}), notReproduced},
		{17, "the header keeps nothing", judgeHeader(fallback{refused: 9, asked: 9}, fallback{asked: 9, pods: 3}), notReproduced},

		{18, "both halves", mutually(func(*mutual) {}), reproduced},
		{18, "plain clients are served", mutually(func(m *mutual) { m.plainStrict = 0.1 }), depends},
		{18, "no rotation", mutually(func(m *mutual) { m.short = 1 }), depends},
		{18, "requests fail at a rotation", mutually(func(m *mutual) { m.failed = 1 }), depends},
		{18, "connections that outlive certificates", mutually(func(m *mutual) { m.handshakes, m.full = 1, 1 }), notHere},
		{18, "only resumed sessions", mutually(func(m *mutual) { m.full = 1 }), notHere},
		{18, "neither", mutually(func(m *mutual) { m.plainStrict, m.short = 1, 1 }), notReproduced},
		{18, "refused without STRICT too", mutually(func(m *mutual) { m.plainPermissive = 0 }), notHere},

		{19, "while nothing changes", stoppedAnd(func(*stopped) {}), depends},
		{19, "changes too", stoppedAnd(func(s *stopped) { s.injected, s.lateAsked, s.deadFailed = true, 70, 0 }), reproduced},
		{19, "picks fail", stoppedAnd(func(s *stopped) { s.failed = 1 }), notReproduced},
		{19, "picks change", stoppedAnd(func(s *stopped) { s.moved = 1 }), notReproduced},
		{19, "the dead one's sessions stay dead", stoppedAnd(func(s *stopped) { s.orphaned = 1 }), notHere},
		{19, "the new pod never comes", stoppedAnd(func(s *stopped) { s.backAsked = 0 }), notHere},

		{22, "both", judgeSplit(splits{replicas: shared{1800, 2000}, control: shared{1000, 2000}, weights: shared{1790, 2000}}), reproduced},
		{22, "replicas only", judgeSplit(splits{replicas: shared{1800, 2000}, control: shared{1000, 2000}, weights: shared{1000, 2000}}), depends},
		{22, "weights only", judgeSplit(splits{replicas: shared{1000, 2000}, control: shared{1000, 2000}, weights: shared{1800, 2000}}), depends},
		{22, "neither", judgeSplit(splits{replicas: shared{1000, 2000}, control: shared{1000, 2000}, weights: shared{1900, 2000}}), notReproduced},
		{22, "without weights too", judgeSplit(splits{replicas: shared{1800, 2000}, control: shared{1800, 2000}, weights: shared{1800, 2000}}), notHere},

		{23, "as claimed", canaryAnd(func(*canaries) {}), reproduced},
		{23, "weights keep them", canaryAnd(func(c *canaries) { c.weights.changed.part = 0 }), notReproduced},
		{23, "the hash loses them too", canaryAnd(func(c *canaries) { c.hash.changed.part = 1 }), notHere},
		{23, "weights that are not", canaryAnd(func(c *canaries) { c.weights.second.part = 1000 }), notHere},
		{23, "buckets lose some", canaryAnd(func(c *canaries) { c.bucket.changed.part = 1 }), reproduced},

		{24, "as claimed", judgeChain(labelled{kept: chainSessions}, labelled{}), reproduced},
		{24, "without the header too", judgeChain(labelled{kept: chainSessions}, labelled{kept: chainSessions}), notReproduced},
		{24, "not all with it", judgeChain(labelled{kept: chainSessions - 1}, labelled{}), depends},
		{24, "failures", judgeChain(labelled{kept: chainSessions}, labelled{failed: 1}), notHere},

		{25, "as claimed", darkAnd(func(_, _ *released) {}), reproduced},
		{25, "others get there", darkAnd(func(_, after *released) { after.none.part = 1 }), depends},
		{25, "another mode gets there", darkAnd(func(_, after *released) { after.other.part = 1 }), depends},
		{25, "dev does not always", darkAnd(func(_, after *released) { after.dev.part = 999 }), depends},
		{25, "neither", darkAnd(func(_, after *released) { after.dev.part, after.none.part = 300, 300 }), notReproduced},
		{25, "without the route too", darkAnd(func(before, _ *released) { before.dev.part = 1000 }), notHere},
		{25, "failures", darkAnd(func(_, after *released) { after.failed = 1 }), notHere},

		{26, "named and needed", judgeToken(true, 1, 0.33), reproduced},
		{26, "named and not needed", judgeToken(true, 1, 1), notReproduced},
		{26, "named, and something else helps", judgeToken(true, 1, 0.8), depends},
		{26, "not named", judgeToken(false, 1, 0.33), notReproduced},

		{27, "as claimed", unevenAnd(func(*unevens) {}), reproduced},
		{27, "even", unevenAnd(func(u *unevens) { u.stateful.peakByMean, u.stateful.atNew.part = 1.5, 44 }), notReproduced},
		{27, "the ring as well", unevenAnd(func(u *unevens) { u.ring.atNew.part = 0 }), notHere},

		{28, "until sealed", judgeForgery(1, 0.33), reproduced},
		{28, "refused by the filter", judgeForgery(0.33, 0.33), notReproduced},

		{30, "moved", judgeRestart(restarted{atPod: 4, moved: 4, lostState: 4, addressGone: true}), notReproduced},
		{30, "in place without its memory", judgeRestart(restarted{atPod: 4, lostState: 1}), notReproduced},
		{30, "as if nothing had been", judgeRestart(restarted{atPod: 4}), reproduced},
		{30, "an empty pod", judgeRestart(restarted{}), notHere},

		{23, "no answers by bucket", canaryAnd(func(c *canaries) { c.bucket = canaried{failed: 3000} }), notHere},
		{27, "no answers", unevenAnd(func(u *unevens) { u.later.failed = 1 }), notHere},
		{31, "no answers", judgeLeast(fresh{busy: shared{990, 1000}, idle: shared{700, 1000}, turns: shared{0, 0}, failed: 1000}), notHere},
		{31, "while they are busy", judgeLeast(fresh{busy: shared{990, 1000}, idle: shared{700, 1000}, turns: shared{700, 1000}}), depends},
		{31, "always", judgeLeast(fresh{busy: shared{990, 1000}, idle: shared{950, 1000}, turns: shared{700, 1000}}), reproduced},
		{31, "no more than by turns", judgeLeast(fresh{busy: shared{705, 1000}, idle: shared{700, 1000}, turns: shared{700, 1000}}), notReproduced},

		{32, "mended", ringedAnd(1.2, 1.05), reproduced},
		{32, "better", ringedAnd(1.3, 1.15), depends},
		{32, "no better", ringedAnd(1.1, 1.1), notReproduced},
		{32, "nobody answers", judgeRings([]ring{{size: 1024}, {size: claimedRing}}), notHere},

		{34, "the other label", judgeLabels(labelled{}, labelled{cookies: 10, kept: 10}, labelled{}), notReproduced},
		{34, "this label", judgeLabels(labelled{cookies: 10, kept: 10}, labelled{cookies: 10, kept: 10}, labelled{}), reproduced},
		{34, "some", judgeLabels(labelled{cookies: 5, kept: 3}, labelled{cookies: 10, kept: 10}, labelled{}), depends},
		{34, "a request failed at this label", judgeLabels(labelled{failed: 1}, labelled{cookies: 10, kept: 10}, labelled{}), notHere},
		{34, "a request failed at Istio's", judgeLabels(labelled{}, labelled{cookies: 10, kept: 9, failed: 1}, labelled{}), notHere},
		{34, "a request failed without one", judgeLabels(labelled{}, labelled{cookies: 10, kept: 10}, labelled{failed: 1}), notHere},
		{34, "cookies without a label", judgeLabels(labelled{cookies: 10, kept: 10}, labelled{cookies: 10, kept: 10}, labelled{cookies: 1}), notHere},
		{34, "kept without a label", judgeLabels(labelled{cookies: 10, kept: 10}, labelled{cookies: 10, kept: 10}, labelled{kept: 10}), notHere},
		{34, "switched off", judgeLabels(labelled{}, labelled{}, labelled{}), notHere},

		{35, "all of it", judgePreStop(lost, losses{asked: 900, sessions: 24, short: 30, long: 12}), reproduced},
		{35, "what is short", judgePreStop(lost, losses{asked: 900, sessions: 24, lostState: 24, short: 30, long: 12, longCut: 12}), depends},
		{35, "most of what is short", judgePreStop(lost, losses{asked: 900, failed: 1, sessions: 24, lostState: 24, short: 30, long: 12, longCut: 12}), depends},
		{35, "nothing", judgePreStop(lost, lost), notReproduced},
		{35, "nothing is lost anyway", judgePreStop(losses{asked: 900}, losses{asked: 900}), notHere},

		{36, "Envoy's own", meteredAnd(func(*metered) {}), notReproduced},
		{36, "Istio's", meteredAnd(func(m *metered) { m.sidecars.istio = 9 }), notReproduced},
		{36, "as claimed", meteredAnd(func(m *metered) { m.sidecars.telling = 1 }), reproduced},
		{36, "no load in them", meteredAnd(func(m *metered) { m.sidecars.control = 0 }), notHere},
	} {
		t.Run(fmt.Sprintf("%d %s", c.claim, c.name), func(t *testing.T) {
			require.Equal(t, c.want, c.found.Verdict, "%s – %s", c.found.Measured, c.found.Note)
			require.NotEmpty(t, c.found.Measured)
			require.NotEmpty(t, c.found.Figures)
			if c.want == depends || c.want == notHere {
				require.NotEmpty(t, c.found.Note, "a verdict that depends says on what")
			}
		})
	}
}

// keeps is what so many sessions did, of which some were steady, and some of these stayed.
func keeps(all, steady, stayed int) kept {
	return kept{steady: shared{steady, all}, scaled: shared{stayed, all}}
}

func TestCanariedFollowsEachSession(t *testing.T) {
	versions := map[string]string{"a": firstVersion, "b": firstVersion, "c": secondVersion}
	said := func(session, pod, state string) probe.Answer {
		return probe.Answer{Session: session, Pod: pod, Status: http.StatusOK, Header: map[string]string{wire.HeaderCacheState: state}}
	}
	c := canariedIn([]probe.Answer{
		said("stays", "c", "cold"), said("moves", "a", "cold"), said("changes", "a", "cold"), {Session: "stays", Error: "reset"},
		said("stays", "c", "warm"), said("moves", "b", "cold"), said("changes", "c", "cold"),
	}, versions)
	require.Equal(t, canaried{
		changed: shared{1, 3}, spread: shared{2, 3}, second: shared{3, 6}, started: shared{1, 3}, again: 2, failed: 1,
	}, c)
}

func TestLoadedLooksAtTheEnd(t *testing.T) {
	late := func(session, pod string) probe.Answer {
		return probe.Answer{Session: session, Pod: pod, Status: http.StatusOK, At: time.Minute}
	}
	l := loadedIn([]probe.Answer{
		answer("stays", "old", ""), answer("moves", "old", ""), answer("ends", "old", ""), {Session: "stays", Status: http.StatusBadGateway},
		late("stays", "old"), late("moves", "new"), late("begins", "new"), late("begins", "new"),
	}, time.Minute, []string{"old"}, []string{"old", "new"})
	require.Equal(t, loaded{moved: shared{1, 3}, atNew: shared{2, 3}, peakByMean: 2 * 2. / 3, failed: 1}, l)
}

func TestKeptNeedsOnePodThroughout(t *testing.T) {
	at := func(d time.Duration, session, pod string) probe.Answer {
		return probe.Answer{Session: session, Pod: pod, Status: http.StatusOK, At: d}
	}
	k := keptIn([]probe.Answer{
		at(0, "stays", "a"), at(0, "moves", "a"), at(0, "strays", "a"), at(0, "gone", "a"),
		at(1, "stays", "a"), at(1, "moves", "a"), at(1, "strays", "b"), {At: 1, Error: "reset"},
		at(5, "stays", "b"), // in between, nothing counts
		at(9, "stays", "a"), at(9, "moves", "b"), at(9, "strays", "a"),
	}, 2, 8)
	require.Equal(t, shared{3, 4}, k.steady)
	require.Equal(t, shared{1, 3}, k.scaled)
	require.Equal(t, 1, k.failed)
}

func TestExpositionFindsSessionsAndTheirHeader(t *testing.T) {
	e := expositionOf(`# HELP x-call-session-id is not a metric
envoy_cluster_upstream_rq_total{envoy_cluster_name="outbound|80||jarvis-service.dev.svc.cluster.local"} 3
istio_requests_total{request_headers_x_call_session_id="room-42"} 1
by_session{id="metered-1"} 2
by_session{id="metered-10"} 2

`, []string{"metered-1"})
	require.Equal(t, exposition{lines: 4, telling: 2, istio: 1, control: 1}, e)
}

func TestSharedHasItsInterval(t *testing.T) {
	require.Equal(t, "90.0% of 2000 (95%: 88.6% to 91.2%)", shared{1800, 2000}.String())
	require.True(t, shared{1800, 2000}.may(0.9))
	require.False(t, shared{1900, 2000}.may(0.9))
	require.Zero(t, shared{}.share())
}

func TestDifferenceIsOfRoundsAndAgainstNoise(t *testing.T) {
	base, again, other := steady(1, 1, 1, 2, 1), steady(1, 1, 1, 2, 2), steady(1, 3, 3, 4, 3)
	d := between(base, again, other, 0.5)
	require.Equal(t, difference{by: 2, low: 2, high: 2, spread: 1}, d)
	require.True(t, d.tells())
	require.False(t, between(base, again, again, 0.5).tells(), "what equal ways do is no difference")
	require.InDelta(t, -2, between(other, other, base, 0.5).by, 1e-9)
	require.True(t, between(other, other, base, 0.5).tells())
	require.Equal(t, 400, base.requests())
}

func TestPercentile(t *testing.T) {
	require.Zero(t, percentile(nil, 0.5))
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[99-i] = time.Duration(i + 1)
	}
	require.Equal(t, time.Duration(50), percentile(hundred, 0.50))
	require.Equal(t, time.Duration(99), percentile(hundred, 0.99))
	require.Equal(t, time.Duration(100), percentile(hundred, 1))
}

// answer of a pod in a session, with the turn that it says.
func answer(session, pod, turn string) probe.Answer {
	return probe.Answer{Session: session, Pod: pod, Status: http.StatusOK, Header: map[string]string{wire.HeaderTurn: turn}}
}

func TestRestartedFollowsEachSession(t *testing.T) {
	r := restartedIn([]probe.Answer{
		answer("moves", "old", "1"), answer("stays", "other", "1"), answer("strays", "other", "1"),
		{Session: "moves", Error: "read tcp: reset by peer"},
		answer("moves", "new", "1"), answer("stays", "other", "2"), answer("strays", "new", "2"), answer("moves", "new", "2"),
	}, "old")
	require.Equal(t, restarted{atPod: 1, moved: 1, lostState: 1, othersMoved: 1, failed: 1, why: "1× reset by peer"}, r)
}

const envoySays = "upstream connect error or disconnect/reset before headers. reset reason: connection termination"

func TestLossesCountWhatIsCutAndForgotten(t *testing.T) {
	cut := probe.Answer{Status: http.StatusOK, Error: "unexpected EOF"}
	whole := probe.Answer{Status: http.StatusOK}
	l := lossesIn([]probe.Answer{
		answer("a", "1", "1"), answer("a", "1", "2"), answer("b", "1", "1"), {Session: "b", Status: http.StatusServiceUnavailable, Body: envoySays}, answer("b", "2", "1"),
	}, []probe.Answer{whole, cut}, []probe.Answer{cut, cut})
	require.Equal(t, losses{asked: 5, failed: 1, why: "1× 503 connection termination", sessions: 2, lostState: 1, short: 2, shortCut: 1, long: 2, longCut: 2}, l)
}

func TestFallbackCountsOnlyTheStorysRefusal(t *testing.T) {
	refused := probe.Answer{Status: http.StatusBadRequest, Body: `{"code":"` + claims.CodeSessionMissing() + `"}`}
	other := probe.Answer{Status: http.StatusBadRequest, Body: "bad request"}
	f := fallbackIn([]probe.Answer{refused, other, answer("", "1", ""), answer("", "2", "")}, []probe.Answer{answer("a", "1", ""), answer("a", "1", ""), answer("b", "1", ""), answer("b", "2", "")})
	require.Equal(t, fallback{refused: 1, failed: 1, asked: 4, pods: 2, kept: 1}, f)
}

func TestLabelledCountsCookiesAndPods(t *testing.T) {
	given := answer("a", "1", "")
	given.Header[setCookie] = "probe=x"
	l := labelledIn([]probe.Answer{given, answer("a", "1", ""), answer("b", "1", ""), answer("b", "2", ""), answer("c", "1", ""), {Session: "c", Error: "refused"}})
	require.Equal(t, labelled{cookies: 1, kept: 1, asked: 6, failed: 1, why: "1× refused"}, l)
}

func TestShareAtAPod(t *testing.T) {
	require.Zero(t, shareAt("1", nil))
	require.InDelta(t, 0.5, shareAt("1", []probe.Answer{answer("a", "1", ""), answer("a", "2", "")}), 1e-9)
}
