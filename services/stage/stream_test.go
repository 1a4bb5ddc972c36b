package stage_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/wire"
)

// shown is a stage whose scene has one pod.
func shown(t *testing.T) (s *scene.Scene, clock *clockwork.FakeClock, url string, stop func()) {
	t.Helper()
	clock = clockwork.NewFakeClock()
	s = scene.New(clock)
	put(s, "jarvis-0", 1)
	url, stop = serve(t, handler(t, stage.Options{Scene: s, Doer: &doer{}}))
	return s, clock, url, stop
}

func put(s *scene.Scene, name string, sessions uint32) {
	s.Change(func(c *scene.Change) { c.Pod(&stagev1.Pod{Lane: "a", Name: name, Sessions: sessions}) })
}

func TestAStreamIsAWholeFrameAndThenWhatChanged(t *testing.T) {
	s, clock, url, stop := shown(t)
	f := follow(t, url+"/api/v1/stream")
	first := f.frame()
	require.True(t, first.frame.GetWhole())
	require.Len(t, first.frame.GetPods(), 1)
	require.True(t, strings.HasPrefix(first.id, s.Instance+"-"))

	// What happens within 100 ms comes as one frame, with the last state alone.
	put(s, "jarvis-1", 1)
	put(s, "jarvis-1", 2)
	require.NoError(t, clock.BlockUntilContext(t.Context(), 2)) // the ticker of comments, and the pace
	clock.Advance(100 * time.Millisecond)
	second := f.frame()
	require.False(t, second.frame.GetWhole())
	require.Len(t, second.frame.GetPods(), 1)
	require.EqualValues(t, 2, second.frame.GetPods()[0].GetSessions())
	require.NotEqual(t, first.id, second.id)

	stop()
	_, more := f.next()
	require.False(t, more, "a stopping server ends its streams")
}

func TestWithATokenNobodyIsShownASession(t *testing.T) {
	const id = "8f14e45f-ceea-467f-9d3c-4f2b7a1c0de5"
	scenery := func() (*scene.Scene, *clockwork.FakeClock) {
		clock := clockwork.NewFakeClock()
		s := scene.New(clock)
		s.Change(func(c *scene.Change) { c.Session(&stagev1.Session{Lane: "a", Id: id, Pod: "jarvis-1"}) })
		return s, clock
	}
	shownWith := func(token string) *stagev1.Session {
		s, _ := scenery()
		url, _ := serve(t, handler(t, stage.Options{Scene: s, Doer: &doer{}, Token: token, Lanes: []venue.Lane{{ID: "a", Smaran: somebody(t)}}}))
		first := follow(t, url+"/api/v1/stream").frame().frame.GetSessions()[0]
		state := new(stagev1.Frame)
		require.NoError(t, protojson.Unmarshal([]byte(ask(t, http.MethodGet, url+"/api/v1/state", "").body), state))
		require.Equal(t, first.GetId(), state.GetSessions()[0].GetId())
		told := ask(t, http.MethodPost, url+"/smaran/a"+wire.PathCalls, "offer", session.Header, id).header.Get(wire.HeaderStageSession)
		require.Equal(t, token != "", told == first.GetId(), "the caller finds its own session, by its id or by what it is told")
		return first
	}
	require.Equal(t, id, shownWith("").GetId(), "on this machine it is what curl is to be given")
	open := shownWith("secret")
	require.NotContains(t, open.GetId(), id[:8])
	require.Equal(t, "jarvis-1", open.GetPod())

	s, clock := scenery()
	url, _ := serve(t, handler(t, stage.Options{Scene: s, Doer: &doer{}, Token: "secret"}))
	f := follow(t, url+"/api/v1/stream")
	f.frame()
	s.Change(func(c *scene.Change) {
		c.Remove(&stagev1.Gone{Lane: "a", Thing: &stagev1.Gone_Session{Session: id}})
	})
	require.NoError(t, clock.BlockUntilContext(t.Context(), 2)) // the ticker of comments, and the pace
	clock.Advance(100 * time.Millisecond)
	require.Equal(t, open.GetId(), f.frame().frame.GetGone()[0].GetSession())
}

func TestAQuietStreamHasComments(t *testing.T) {
	_, clock, url, _ := shown(t)
	f := follow(t, url+"/api/v1/stream")
	f.frame()
	for range 2 {
		require.NoError(t, clock.BlockUntilContext(t.Context(), 1))
		clock.Advance(5 * time.Second)
		e, ok := f.next()
		require.True(t, ok)
		require.True(t, e.comment)
		require.Nil(t, e.frame)
	}
}

func TestAStreamGoesOnWhereItsReaderWas(t *testing.T) {
	s, _, url, _ := shown(t)
	f := follow(t, url+"/api/v1/stream")
	had := f.frame().id
	f.close()
	put(s, "jarvis-1", 1)

	inHeader := follow(t, url+"/api/v1/stream", "Last-Event-ID", had).frame()
	require.False(t, inHeader.frame.GetWhole())
	require.Len(t, inHeader.frame.GetPods(), 1)
	require.Equal(t, "jarvis-1", inHeader.frame.GetPods()[0].GetName())
	inQuery := follow(t, url+"/api/v1/stream?last_event_id="+had).frame()
	require.False(t, inQuery.frame.GetWhole())
	require.Equal(t, inHeader.id, inQuery.id)

	_, version, _ := strings.Cut(had, "-")
	for name, id := range map[string]string{
		"of another scene":     "ABCDEFGH-" + version,
		"not there yet":        s.Instance + "-99999",
		"no version":           s.Instance,
		"no number":            s.Instance + "-x",
		"larger than a number": s.Instance + "-99999999999999999999999",
		"nonsense":             "-",
	} {
		e := follow(t, url+"/api/v1/stream", "Last-Event-ID", id).frame()
		require.True(t, e.frame.GetWhole(), name)
		require.Len(t, e.frame.GetPods(), 2, name)
	}
}

// A page that reads nothing fills its connection's buffers; the scene and the other pages go on meanwhile, and what it reads at last is
// what there is then.
func TestASlowPageSlowsNobody(t *testing.T) {
	s := scene.New(clockwork.NewRealClock())
	url, _ := serve(t, handler(t, stage.Options{Scene: s, Doer: &doer{}}))
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	slow, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/stream", nil)
	require.NoError(t, err)
	unread, err := client(t).Do(slow)
	require.NoError(t, err)
	defer unread.Body.Close()

	quick := follow(t, url+"/api/v1/stream")
	reason := strings.Repeat("x", 1<<20) // so that some frames are more than what buffers hold
	const frames = 24
	for n := range uint32(frames) {
		s.Change(func(c *scene.Change) {
			c.Lane(&stagev1.Lane{Id: "a", Reason: reason})
			c.Pod(&stagev1.Pod{Lane: "a", Name: "jarvis-0", Sessions: n + 1})
		})
		reason = reason[1:]
		for {
			pods := quick.frame().frame.GetPods()
			if len(pods) > 0 && pods[0].GetSessions() == n+1 {
				break
			}
		}
	}
	// The slow one reads now: fewer frames than there were, and in the end the last state.
	behind := &follower{t: t, lines: lines(unread.Body)}
	taken := 0
	for {
		taken++
		if pods := behind.frame().frame.GetPods(); len(pods) > 0 && pods[0].GetSessions() == frames {
			break
		}
	}
	require.Less(t, taken, frames)
}

func TestTheStateIsAWholeFrame(t *testing.T) {
	_, _, url, _ := shown(t)
	res := ask(t, http.MethodGet, url+"/api/v1/state", "")
	require.Equal(t, "application/json", res.header.Get("Content-Type"))
	f := new(stagev1.Frame)
	require.NoError(t, protojson.Unmarshal([]byte(res.body), f))
	require.True(t, f.GetWhole())
	require.Len(t, f.GetPods(), 1)
}
