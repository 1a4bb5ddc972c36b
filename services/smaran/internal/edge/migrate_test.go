package edge_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/wire"
)

func handsOver(set *settings) { set.backend = backend.Handoff }

// besides is another pod than those.
func (s *server) besides(pods ...string) *podtest.Pod {
	for _, e := range s.Current().Endpoints {
		if !slices.Contains(pods, e.Pod) {
			return s.Pod(e.Pod)
		}
	}
	return nil
}

// told has a session's pod tell its watchers to move, and returns what a client is told.
func (s *server) told(t testing.TB, id session.ID, from, to *podtest.Pod) (*jarvisv1.Migrate, string) {
	t.Helper()
	events := s.events(t, string(id))
	require.Equal(t, from.Name, events.next(t).pod(t))
	from.Send(id, &jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Migrate{
		Migrate: &jarvisv1.Migrate{Pod: to.Name, Address: to.Address, Epoch: 2}}})
	e := events.next(t)
	require.Equal(t, wire.EventMigrate, e.name)
	return e.message(t).GetMigrate(), e.data
}

// second is the offer of a call that is brought with a token.
func second(id, token string) request {
	return request{method: http.MethodPost, path: wire.PathCalls, body: "offer",
		header: as(id, "Content-Type", wire.ContentTypeSDP, wire.HeaderMigrate, token)}
}

func TestAClientIsToldWhereToMoveButNotTheAddress(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 3), handsOver)
	from := s.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
	to := s.besides(from.Name)
	told, data := s.told(t, "s", from, to)
	require.Equal(t, to.Name, told.GetPod())
	require.EqualValues(t, 2, told.GetEpoch())
	require.Empty(t, told.GetAddress())
	require.NotContains(t, data, to.Address)
	sealed, err := base64.RawURLEncoding.DecodeString(told.GetToken())
	require.NoError(t, err)
	require.NotContains(t, string(sealed), to.Address)
}

func TestATokenPlacesTheSecondCallWhereItSays(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 3), handsOver)
	from := s.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
	require.Equal(t, from.Name, s.place(t, "s").Header.Get(wire.HeaderPod), "control: that is where the backend places it")
	to := s.besides(from.Name)
	told, _ := s.told(t, "s", from, to)

	placed := s.place(t, "s", wire.HeaderMigrate, told.GetToken())
	require.Equal(t, to.Name, placed.Header.Get(wire.HeaderPod))
	require.Equal(t, wire.PathCall("s"), placed.Header.Get("Location"))
	require.Equal(t, podtest.ETag, placed.Header.Get("ETag"))
	require.Len(t, to.Offers(), 1)
	require.True(t, to.Offers()[0].GetStandby())
	require.True(t, from.Holds("s"), "the first call goes on")
	require.Len(t, from.Offers(), 2)
	for _, offer := range from.Offers() {
		require.False(t, offer.GetStandby())
	}
	require.Equal(t, to.Name, s.events(t, "s").next(t).pod(t), "a stream that is opened now is the second one's")
}

func TestATokenThatIsNotForThisCallIsRefused(t *testing.T) {
	clock := clockwork.NewFakeClock()
	s := start(t, podtest.NewFleet(t, 3), handsOver, func(set *settings) { set.clock = clock })
	from := s.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
	told, _ := s.told(t, "s", from, s.besides(from.Name))
	sealsMore := start(t, podtest.NewFleet(t, 1), func(set *settings) {
		set.backend, set.policy = backend.StatefulHeader, mesh.StatefulByHeader
	})
	stateful := sealsMore.place(t, "s").Header.Get(wire.HeaderStateful)
	require.NotEmpty(t, stateful)

	for name, c := range map[string]struct {
		server   *server
		id       string
		token    string
		detail   string
		advanced time.Duration
	}{
		"of another session":    {server: s, id: "other", token: told.GetToken(), detail: "another session's: expected the token of this session's last migrate event"},
		"of a stateful session": {server: sealsMore, id: "s", token: stateful, detail: "the token is for something else: expected that of a migrate event"},
		"of another smaran":     {server: sealsMore, id: "s", token: told.GetToken(), detail: "expected the token of this session's last migrate event"},
		"an address":            {server: s, id: "s", token: from.Address, detail: "malformed"},
		"changed":               {server: s, id: "s", token: changed(told.GetToken()), detail: "forged"},
		"expired":               {server: s, id: "s", token: told.GetToken(), detail: "expired", advanced: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			clock.Advance(c.advanced)
			before := offers(c.server)
			res, body := c.server.do(t, second(c.id, c.token))
			require.Equal(t, http.StatusBadRequest, res.StatusCode, body)
			require.Contains(t, body, `"code":"`+string(wire.CodeTokenRefused)+`"`)
			require.Contains(t, body, c.detail)
			require.Equal(t, before, offers(c.server), "no pod hears of it")
		})
	}
}

// changed is a token whose secret part has another letter.
func changed(token string) string {
	at, letter := len(token)-9, "A"
	if token[at:at+1] == letter {
		letter = "B"
	}
	return token[:at] + letter + token[at+1:]
}

// offers counts those of all pods.
func offers(s *server) (n int) {
	for _, e := range s.Current().Endpoints {
		n += len(s.Pod(e.Pod).Offers())
	}
	return n
}

func TestASecondCallWhosePodIsGoneFails(t *testing.T) {
	for name, c := range map[string]struct {
		peers  bool
		detail string
	}{
		"directly":                            {detail: "no connection"},
		"through a mesh, where others answer": {peers: true, detail: "answered, and the session moves to"},
	} {
		t.Run(name, func(t *testing.T) {
			fleet := podtest.NewFleet(t, 3)
			s := start(t, fleet, handsOver, func(set *settings) {
				if c.peers {
					set.peers.URL = fleet.Peers(t)
				}
			})
			from := s.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
			to := s.besides(from.Name)
			told, _ := s.told(t, "s", from, to)
			s.Remove(to.Name)
			res, body := s.do(t, second("s", told.GetToken()))
			require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, body)
			require.Contains(t, body, string(wire.CodeUpstreamUnavailable))
			require.Contains(t, body, c.detail)
		})
	}
}

func TestAStreamFollowsTheOwnerThatAPodNames(t *testing.T) {
	for name, knowsWhereItWas := range map[string]bool{"of the pod where the call was placed": true, "of the backend's": false} {
		t.Run(name, func(t *testing.T) {
			fleet := podtest.NewFleet(t, 3)
			placing, s := start(t, fleet, handsOver), start(t, fleet, handsOver)
			chosen := s.Pod(placing.place(t, "s").Header.Get(wire.HeaderPod))
			from := chosen
			if knowsWhereItWas { // at a pod that the backend would not ask
				from = s.Pod(s.place(t, "s", wire.HeaderLostPod, chosen.Name).Header.Get(wire.HeaderPod))
				chosen.Forget("s")
			}
			to := s.besides(chosen.Name, from.Name)
			from.Refuse(func(string) error { return podtest.NotHeld(to.Name, 2) })
			to.Place("s")
			events := s.events(t, "s")
			require.Equal(t, to.Name, events.next(t).pod(t))
			require.Equal(t, to.Name, events.Header.Get(wire.HeaderPod))
			to.Send("s", heartbeat())
			require.Equal(t, wire.EventHeartbeat, events.next(t).name)
			to.Kill()
			lost := events.next(t)
			require.Equal(t, wire.EventPodLost, lost.name)
			require.Equal(t, to.Name, lost.message(t).GetPodLost().GetPod())
		})
	}
}

// TestAStreamFollowsNobodyIntoTheUnknown: the owner that a pod names may be gone, or not have the call either.
func TestAStreamFollowsNobodyIntoTheUnknown(t *testing.T) {
	for name, named := range map[string]string{"an owner that is not listed": "jarvis-9", "an owner without the call": ""} {
		t.Run(name, func(t *testing.T) {
			s := start(t, podtest.NewFleet(t, 2), handsOver)
			from := s.Pod(s.place(t, "s").Header.Get(wire.HeaderPod))
			if named == "" {
				named = s.besides(from.Name).Name
			}
			from.Refuse(func(string) error { return podtest.NotHeld(named, 2) })
			res, body := s.do(t, request{method: http.MethodGet, path: wire.PathCallEvents("s")})
			require.Equal(t, http.StatusConflict, res.StatusCode, body)
			require.Contains(t, body, `"owner":"`+named+`"`)
		})
	}
}

func TestWhatARedialKnowsReachesThePod(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 2), handsOver)
	lost := s.place(t, "s").Header.Get(wire.HeaderPod)
	pod := s.Pod(s.place(t, "s", wire.HeaderLostPod, lost, wire.HeaderEpoch, "7").Header.Get(wire.HeaderPod))
	require.NotEqual(t, lost, pod.Name)
	offer := pod.Offers()[0]
	require.Equal(t, lost, offer.GetLostPod())
	require.EqualValues(t, 7, offer.GetLastEpoch())
	require.Empty(t, s.Pod(lost).Offers()[0].GetLostPod(), "control: a first call knows nothing")
	require.Zero(t, s.Pod(lost).Offers()[0].GetLastEpoch())
}

func TestTheEpochThatAClientSawReachesThePod(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1), handsOver)
	for _, r := range []request{
		{method: http.MethodGet, path: wire.PathInference + "?last_epoch=7", header: as("s")},
		{method: http.MethodPost, path: wire.PathInference, header: as("s", "Content-Type", wire.ContentTypeJSON), body: `{"lastEpoch":"7"}`},
	} {
		res, body := s.do(t, r)
		require.Equal(t, http.StatusOK, res.StatusCode, body)
		asked := s.Pod("jarvis-0").Asked()
		require.EqualValues(t, 7, asked[len(asked)-1].GetLastEpoch(), r.method)
	}
}

func TestAnAnswerThatWasPassedOnSaysThroughWhom(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1), handsOver)
	ask := request{method: http.MethodGet, path: wire.PathInference, header: as("s")}
	for _, through := range []string{"", "jarvis-7", ""} {
		s.Pod("jarvis-0").Through(through)
		res, _ := s.do(t, ask)
		require.Equal(t, through, res.Header.Get(wire.HeaderForwarded))
		require.Equal(t, "jarvis-0", res.Header.Get(wire.HeaderPod), "which is who answered")
		require.Equal(t, through, s.place(t, "s").Header.Get(wire.HeaderForwarded))
	}
}
