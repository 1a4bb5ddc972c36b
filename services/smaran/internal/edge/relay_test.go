package edge_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/smaran/internal/edge"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/turn/credential"
	"github.com/smaran-v2/smaran/services/wire"
)

var relay = edge.Relay{
	URLs:   []string{"turn:127.0.0.1:3478?transport=udp", "turn:127.0.0.1:3478?transport=tcp"},
	Secret: []byte("a secret of the tests"), TTL: time.Hour,
}

var iceServer = regexp.MustCompile(`^<([^>]+)>; rel="ice-server"; username="([^"]+)"; credential="([^"]+)"; credential-type="password"$`)

// links are what a response tells of the relay, and the credential in it.
func links(t *testing.T, res *http.Response) (urls []string, who credential.Credential) {
	t.Helper()
	for _, line := range res.Header.Values("Link") {
		parts := iceServer.FindStringSubmatch(line)
		require.NotNil(t, parts, line)
		urls, who = append(urls, parts[1]), credential.Credential{Username: parts[2], Password: parts[3]}
	}
	return urls, who
}

func TestACallerIsToldOfTheRelay(t *testing.T) {
	clock := clockwork.NewFakeClock()
	s := start(t, podtest.NewFleet(t, 1), func(set *settings) { set.relay, set.clock = relay, clock })
	describe := func(id string) *http.Response {
		res, body := s.do(t, request{method: http.MethodOptions, path: wire.PathCalls, header: as(id)})
		require.Equal(t, http.StatusNoContent, res.StatusCode, body)
		require.Equal(t, wire.ContentTypeSDP, res.Header.Get("Accept-Post"))
		return res
	}
	var users []string
	for name, res := range map[string]*http.Response{"OPTIONS": describe("room-42"), "POST": s.place(t, "room-42")} {
		urls, who := links(t, res)
		require.Equal(t, relay.URLs, urls, name)
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"), name)
		require.Equal(t, credential.Password(relay.Secret, who.Username), who.Password, name)
		expires, user, err := credential.Parse(who.Username)
		require.NoError(t, err, name)
		require.Equal(t, clock.Now().Add(relay.TTL).Unix(), expires.Unix(), name)
		require.NotContains(t, strings.Join(res.Header.Values("Link"), ""), "room-42", name)
		users = append(users, user)
	}
	require.Equal(t, users[0], users[1], "one session is one user")
	_, other := links(t, describe("room-43"))
	require.NotContains(t, other.Username, users[0])
}

func TestWhoIsNotToldOfTheRelay(t *testing.T) {
	with := start(t, podtest.NewFleet(t, 1), func(set *settings) { set.relay = relay })
	res, _ := with.do(t, request{method: http.MethodOptions, path: wire.PathCalls})
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	require.Empty(t, res.Header.Values("Link"), "without a session")
	res, _ = with.do(t, request{method: http.MethodOptions, path: wire.PathCalls, header: as("not a session")})
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
	require.Empty(t, res.Header.Values("Link"))
	res, _ = with.do(t, request{method: http.MethodPost, path: wire.PathCalls, header: as("s")})
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
	require.Empty(t, res.Header.Values("Link"), "a call that is not placed")

	without := start(t, podtest.NewFleet(t, 1))
	require.Empty(t, without.place(t, "s").Header.Values("Link"), "where there is none")
}

// TestAPageOfAnotherOriginIsToldOfTheRelay: OPTIONS is no method that a page may use unasked.
func TestAPageOfAnotherOriginIsToldOfTheRelay(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1), func(set *settings) { set.relay = relay })
	res, _ := s.do(t, request{method: http.MethodOptions, path: wire.PathCalls, header: http.Header{
		"Origin": {"https://talk.example"}, "Access-Control-Request-Method": {"OPTIONS"}, "Access-Control-Request-Headers": {"x-call-session-id"},
	}})
	require.Equal(t, "OPTIONS", res.Header.Get("Access-Control-Allow-Methods"))
	res, _ = s.do(t, request{method: http.MethodOptions, path: wire.PathCalls, header: as("s", "Origin", "https://talk.example")})
	require.Contains(t, res.Header.Get("Access-Control-Expose-Headers"), "Link")
	urls, _ := links(t, res)
	require.Equal(t, relay.URLs, urls)
}
