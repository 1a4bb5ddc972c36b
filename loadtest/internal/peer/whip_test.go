package peer_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
)

func TestLateCandidatesAreTrickled(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	c := dial(t, api, p.to("s1"), peer.Options{})
	other := dial(t, api, p.to("s2"), peer.Options{})
	etag, fragment := c.Answer().ETag, c.LateCandidate()

	parsed, err := call.ParseFragment(fragment)
	require.NoError(t, err, fragment)
	require.Len(t, parsed.Media, 1)
	require.NotEmpty(t, parsed.Media[0].Candidates, fragment)
	require.Contains(t, parsed.Media[0].Candidates[0], " 127.0.0.1 ")
	require.True(t, parsed.Media[0].End)

	for _, tt := range []struct {
		name, fragment, ifMatch string
		id                      session.ID
		want                    error
	}{
		{"as it should be", fragment, etag, "s1", nil},
		{"without a condition", fragment, "", "s1", nil},
		{"any ICE session", fragment, "*", "s1", nil},
		{"one of several", fragment, `"other", ` + etag, "s1", nil},
		{"another call's tag", fragment, other.Answer().ETag, "s1", call.ErrETagMismatch},
		{"weak tag", fragment, "W/" + etag, "s1", call.ErrETagMismatch},
		{"another call's fragment", other.LateCandidate(), etag, "s1", call.ErrBadFragment},
		{"another password", replaceLine(fragment, "a=ice-pwd:", "0123456789abcdefghijklmn"), etag, "s1", call.ErrBadFragment},
		{"unknown m-section", replaceLine(fragment, "a=mid:", "9"), etag, "s1", call.ErrBadFragment},
		{"garbage", "v=0", etag, "s1", call.ErrBadFragment},
		{"no call", fragment, etag, "s3", call.ErrNotHeld},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.ErrorIs(t, p.Trickle(within(t), tt.id, tt.fragment, tt.ifMatch), tt.want)
		})
	}
	require.NoError(t, c.Err(), "media went on")
}

// replaceLine gives the line that starts with a prefix another value.
func replaceLine(fragment, prefix, value string) string {
	lines := strings.SplitAfter(fragment, "\r\n")
	for i, l := range lines {
		if strings.HasPrefix(l, prefix) {
			lines[i] = prefix + value + "\r\n"
		}
	}
	return strings.Join(lines, "")
}

func TestASecondOfferReplacesTheCall(t *testing.T) {
	p, api := startPod(t, func(c *call.Config) { c.MaxCalls = 1 }), newAPI(t)
	first := dial(t, api, p.to("s1"), peer.Options{})
	var events recorder
	watching := make(chan error, 1)
	go func() { watching <- p.Watch(within(t), "s1", events.add) }()

	second := dial(t, api, p.to("s1"), peer.Options{}) // also at the cap
	require.NotEqual(t, first.Answer().ETag, second.Answer().ETag)
	<-lost(t, first)
	require.ErrorIs(t, first.Err(), peer.ErrPeerClosed)
	require.NoError(t, next(t, watching))
	require.Equal(t, call.ReasonReplaced, events.last().GetEnded().GetReason())
	require.Equal(t, 1, p.Count())
	require.NoError(t, second.Err())
	require.ErrorIs(t, p.Trickle(within(t), "s1", second.LateCandidate(), first.Answer().ETag), call.ErrETagMismatch)
	require.Eventually(t, func() bool { return len(p.endings()) == 1 }, patience, 10*time.Millisecond)
	require.Equal(t, "s1 "+call.ReasonReplaced, p.endings()[0])
}

func TestHangupEndsTheCallAtTheCaller(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	c := dial(t, api, p.to("s1"), peer.Options{})
	var events recorder
	watching := make(chan error, 1)
	go func() { watching <- p.Watch(within(t), "s1", events.add) }()
	require.Eventually(t, func() bool { return events.heartbeats() >= 2 }, patience, 10*time.Millisecond)

	p.Drain(func() time.Duration { return 7 * time.Second })
	require.Eventually(t, func() bool { return events.draining() == 7*time.Second }, patience, 10*time.Millisecond)
	require.NoError(t, p.Hangup("s1"))
	require.NoError(t, next(t, watching))
	require.Equal(t, call.ReasonHangup, events.last().GetEnded().GetReason())
	<-lost(t, c)
	require.ErrorIs(t, c.Err(), peer.ErrPeerClosed)
	require.ErrorIs(t, p.Hangup("s1"), call.ErrNotHeld)
}

// recorder keeps a watcher's events.
type recorder struct {
	mu     sync.Mutex
	events []*jarvisv1.WatchResponse
}

func (r *recorder) add(e *jarvisv1.WatchResponse) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return nil
}

func (r *recorder) last() *jarvisv1.WatchResponse {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) == 0 {
		return nil
	}
	return r.events[len(r.events)-1]
}

func (r *recorder) heartbeats() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.GetHeartbeat().GetInterval().AsDuration() == heartbeat {
			n++
		}
	}
	return n
}

func (r *recorder) draining() (remaining time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		remaining += e.GetDraining().GetRemaining().AsDuration()
	}
	return remaining
}

// TestManyCallsShareOneSocket also proves that the mux tells callers apart: each hears from its own agent only.
func TestManyCallsShareOneSocket(t *testing.T) {
	const calls = 20
	p, api := startPod(t), newAPI(t)
	ctx := within(t)
	heard := make(chan string, calls)
	var dialling sync.WaitGroup
	for i := range calls {
		dialling.Go(func() {
			id := session.ID(fmt.Sprintf("s%d", i))
			c, err := peer.Dial(ctx, api, p.to(id), peer.Options{
				Meter:        peer.NewMeter(peer.MeterConfig{}),
				OnTranscript: func(s peer.Transcript) { heard <- string(id) + s.Text },
			})
			if err != nil {
				heard <- err.Error()
				return
			}
			t.Cleanup(c.Close)
		})
	}
	dialling.Wait()
	require.Equal(t, calls, p.Count())
	require.Len(t, p.Sessions(), calls)
	for _, id := range p.Sessions() {
		_, err := p.Say(id, " to "+string(id), 1)
		require.NoError(t, err)
	}
	for range calls {
		got := next(t, heard)
		to, said, _ := strings.Cut(got, " to ")
		require.Equal(t, to, said, got)
	}
}

func TestOtherWaysToListen(t *testing.T) {
	for name, option := range map[string]func(*call.Config){
		"ICE-lite": func(c *call.Config) { c.ICELite = true },
		"full ICE": func(c *call.Config) { c.ICELite = false },
		"an unspecified address": func(c *call.Config) {
			_ = c.Media.Close()
			socket, err := net.ListenUDP("udp", nil)
			require.NoError(t, err)
			c.Media = socket
		},
		"an address that is rewritten": func(c *call.Config) {
			_ = c.Media.Close()
			socket, err := net.ListenUDP("udp4", nil)
			require.NoError(t, err)
			c.Media, c.AdvertiseIPs = socket, []string{"127.0.0.1"}
		},
		"two addresses, one of which is reached": func(c *call.Config) {
			_ = c.Media.Close()
			socket, err := net.ListenUDP("udp4", nil)
			require.NoError(t, err)
			c.Media, c.AdvertiseIPs = socket, []string{"192.0.2.7", "127.0.0.1"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, api := startPod(t, option), newAPI(t)
			c := dial(t, api, p.to("s1"), peer.Options{})
			require.NoError(t, c.Err())
			if strings.Contains(name, "two") {
				require.Contains(t, c.Answer().SDP, " 192.0.2.7 ")
				require.Contains(t, c.Answer().SDP, " 127.0.0.1 ")
			}
			if strings.Contains(name, "rewritten") {
				for line := range strings.Lines(c.Answer().SDP) {
					require.False(t, strings.HasPrefix(line, "a=candidate") && !strings.Contains(line, " 127.0.0.1 "), line)
				}
			}
			require.Equal(t, name == "ICE-lite", strings.Contains(c.Answer().SDP, "a=ice-lite"))
		})
	}
}

func TestWatchEndsWithItsContextOrThePod(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	dial(t, api, p.to("s1"), peer.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var events recorder
	watching := make(chan error, 1)
	go func() { watching <- p.Watch(ctx, "s1", events.add) }()
	cancel()
	require.ErrorIs(t, next(t, watching), context.Canceled)

	require.ErrorIs(t, p.Watch(t.Context(), "s2", events.add), call.ErrNotHeld)

	go func() { watching <- p.Watch(t.Context(), "s1", events.add) }()
	require.Eventually(t, func() bool { return events.heartbeats() > 0 }, patience, 10*time.Millisecond)
	require.NoError(t, p.Close(within(t)))
	require.ErrorIs(t, next(t, watching), call.ErrClosed)
	require.Nil(t, events.last().GetEnded(), "a pod that goes must look lost")
}
