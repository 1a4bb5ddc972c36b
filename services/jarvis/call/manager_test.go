package call_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
)

func TestAnswerHoldsWhatWHIPAsksFor(t *testing.T) {
	p := newPod(t)
	a, err := p.Offer(within(t), "s1", newOffer(t))
	require.NoError(t, err)
	require.Regexp(t, `^"[A-Z0-9]{20,}"$`, a.ETag, "a strong entity-tag")
	require.Contains(t, a.SDP, " 127.0.0.1 ")
	require.Contains(t, a.SDP, "a=end-of-candidates")
	require.Contains(t, a.SDP, "a=rtpmap:0 PCMU/8000")
	require.Contains(t, a.SDP, "a=sendrecv")
	require.Contains(t, a.SDP, "m=application")
	require.NotContains(t, a.SDP, ".local", "no mDNS names")
	require.NotContains(t, a.SDP, "typ srflx")
	require.Equal(t, []session.ID{"s1"}, p.Sessions())
}

func TestCallsOfAPodShareItsCertificate(t *testing.T) {
	p := newPod(t)
	fingerprint := func(id session.ID) string {
		a, err := p.Offer(within(t), id, newOffer(t))
		require.NoError(t, err)
		_, rest, found := strings.Cut(a.SDP, "a=fingerprint:")
		require.True(t, found)
		line, _, _ := strings.Cut(rest, "\r\n")
		return line
	}
	require.Equal(t, fingerprint("s1"), fingerprint("s2"))
}

func TestOffersThatCannotBeAnswered(t *testing.T) {
	offer := newOffer(t)
	p := newPod(t)
	_, err := p.Offer(within(t), "s1", offer)
	require.NoError(t, err)
	for name, sdp := range map[string]string{
		"empty":          "",
		"not SDP":        "hello",
		"no sections":    "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
		"another codec":  strings.NewReplacer("SAVPF 0", "SAVPF 111", "a=rtpmap:0 PCMU/8000", "a=rtpmap:111 opus/48000/2").Replace(offer),
		"video":          strings.Replace(offer, "m=audio", "m=video", 1),
		"no ICE":         dropLines(offer, "a=ice-"),
		"no fingerprint": dropLines(offer, "a=fingerprint"),
	} {
		t.Run(name, func(t *testing.T) {
			for _, id := range []session.ID{"s1", "s2"} {
				_, err := p.Offer(within(t), id, sdp)
				require.ErrorIs(t, err, call.ErrBadSDP)
			}
			require.Equal(t, []session.ID{"s1"}, p.Sessions(), "the call that is up stays up")
		})
	}
}

func dropLines(sdp, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, prefix) {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestOfferEndsWithItsContext(t *testing.T) {
	p := newPod(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Offer(ctx, "s1", newOffer(t))
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, p.Count())
}

// TestAListenerIsSpokenTo: a browser without a microphone offers to receive only.
func TestAListenerIsSpokenTo(t *testing.T) {
	offer := newOffer(t)
	require.Contains(t, offer, "a=sendrecv")
	offer = strings.ReplaceAll(dropLines(dropLines(offer, "a=ssrc"), "a=msid:"), "a=sendrecv", "a=recvonly")
	p := newPod(t)
	a, err := p.Offer(within(t), "s1", offer)
	require.NoError(t, err)
	require.Contains(t, a.SDP, "a=sendonly")
	require.Contains(t, a.SDP, "a=ssrc:")
}

func TestTheCapHoldsForSessionsNotOffers(t *testing.T) {
	p := newPod(t, func(c *call.Config) { c.MaxCalls = 2 })
	offer := newOffer(t)
	for _, id := range []session.ID{"s1", "s2"} {
		_, err := p.Offer(within(t), id, offer)
		require.NoError(t, err)
	}
	_, err := p.Offer(within(t), "s3", offer)
	require.ErrorIs(t, err, call.ErrFull)
	_, err = p.Offer(within(t), "s2", offer)
	require.NoError(t, err, "a replacement takes no place of its own")
	require.Equal(t, ending{"s2", call.ReasonReplaced}, next(t, p.ended))
	require.Equal(t, 2, p.Count())

	require.NoError(t, p.Hangup("s1"))
	require.Equal(t, 1, p.Count())
	_, err = p.Offer(within(t), "s3", offer)
	require.NoError(t, err)
	require.Equal(t, []session.ID{"s2", "s3"}, p.Sessions())

	_, err = p.Offer(within(t), "s4", "bad")
	require.ErrorIs(t, err, call.ErrFull, "the cap comes before any work")
}

func TestTheCapIsAtomic(t *testing.T) {
	const most, offers = 3, 24
	p := newPod(t, func(c *call.Config) { c.MaxCalls = most })
	offer := newOffer(t)
	results := make(chan error, offers)
	var placing sync.WaitGroup
	for i := range offers {
		placing.Go(func() {
			_, err := p.Offer(t.Context(), session.ID(fmt.Sprintf("s%d", i)), offer)
			results <- err
		})
	}
	placing.Wait()
	placed := 0
	for range offers {
		if err := <-results; err == nil {
			placed++
		} else {
			require.ErrorIs(t, err, call.ErrFull)
		}
	}
	require.Equal(t, most, placed)
	require.Equal(t, most, p.Count())
}

func TestConcurrentOffersOfASessionLeaveOneCall(t *testing.T) {
	const offers = 12
	p := newPod(t, func(c *call.Config) { c.MaxCalls = 1 })
	offer := newOffer(t)
	var placing sync.WaitGroup
	for range offers {
		placing.Go(func() { _, _ = p.Offer(t.Context(), "s1", offer) })
	}
	placing.Wait()
	require.Equal(t, 1, p.Count())
	for range offers - 1 {
		require.Equal(t, ending{"s1", call.ReasonReplaced}, next(t, p.ended))
	}
}

func TestACallNobodyConnectsToExpires(t *testing.T) {
	p := newPod(t)
	_, err := p.Offer(within(t), "s1", newOffer(t))
	require.NoError(t, err)
	reasons := make(chan string, 1)
	watching := make(chan error, 1)
	go func() {
		watching <- p.Watch(within(t), "s1", func(e *jarvisv1.WatchResponse) error {
			if ended := e.GetEnded(); ended != nil {
				reasons <- ended.Reason
			}
			return nil
		})
	}()
	require.NoError(t, p.clock.BlockUntilContext(within(t), 2)) // the deadline and the heartbeat
	p.clock.Advance(5*time.Second - 1)
	require.True(t, p.Holds("s1"))
	p.clock.Advance(1)
	require.Equal(t, ending{"s1", call.ReasonExpired}, next(t, p.ended))
	require.Equal(t, call.ReasonExpired, next(t, reasons))
	require.NoError(t, next(t, watching))
	require.False(t, p.Holds("s1"))
}

func TestNothingIsSpokenBeforeThePeerConnects(t *testing.T) {
	p := newPod(t)
	_, err := p.Offer(within(t), "s1", newOffer(t))
	require.NoError(t, err)
	spoken, err := p.Say("s1", "too soon", 1)
	require.NoError(t, err)
	require.False(t, spoken)
}

func TestCloseRefusesEverythingAfterwards(t *testing.T) {
	p := newPod(t)
	offer := newOffer(t)
	_, err := p.Offer(within(t), "s1", offer)
	require.NoError(t, err)
	require.NoError(t, p.Close(within(t)))
	require.NoError(t, p.Close(within(t)))
	require.Equal(t, ending{"s1", call.ReasonClosed}, next(t, p.ended))
	_, err = p.Offer(within(t), "s1", offer)
	require.ErrorIs(t, err, call.ErrClosed)
	require.ErrorIs(t, p.Hangup("s1"), call.ErrNotHeld)
	require.Zero(t, p.Count())
}

func TestCloseDuringOffersLeavesNothing(t *testing.T) {
	p := newPod(t)
	offer := newOffer(t)
	var placing sync.WaitGroup
	for i := range 20 {
		placing.Go(func() {
			_, err := p.Offer(t.Context(), session.ID(fmt.Sprintf("s%d", i)), offer)
			if err != nil && !errors.Is(err, call.ErrClosed) {
				t.Error(err)
			}
		})
	}
	require.NoError(t, p.Close(within(t)))
	placing.Wait()
	require.Zero(t, p.Count())
}

func TestConfigIsChecked(t *testing.T) {
	for name, tt := range map[string]struct {
		break_ func(*call.Config)
		want   string
	}{
		"no socket":    {func(c *call.Config) { _ = c.Media.Close(); c.Media = nil }, "Media: expected an open UDP socket"},
		"no cap":       {func(c *call.Config) { c.MaxCalls = 0 }, "MaxCalls: expected above 0, got 0"},
		"no heartbeat": {func(c *call.Config) { c.Heartbeat = -1 }, "Heartbeat: expected above 0, got -1ns"},
		"host name":    {func(c *call.Config) { c.AdvertiseIPs = []string{"localhost"} }, `expected an IP address such as 192.0.2.7, got "localhost"`},
		"no responder": {func(c *call.Config) { c.Respond = nil }, "Respond"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t)
			socket := cfg.Media
			tt.break_(&cfg)
			_, err := call.New(cfg)
			require.ErrorContains(t, err, tt.want)
			require.ErrorIs(t, socket.Close(), net.ErrClosed, "a failing New closes the socket")
		})
	}
}
