package call_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/jarvis/call/media"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// Most of these tests are of one end alone: offers are real, and nobody ever connects. Calls that move have a caller of their own. Both
// real ends together are tested in the load generator's package peer.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// pod is a manager on a fake clock that keeps how its calls ended.
type pod struct {
	*call.Manager
	clock *clockwork.FakeClock
	ended chan ending
}

type ending struct {
	id     session.ID
	reason string
}

func newPod(t testing.TB, options ...func(*call.Config)) *pod {
	t.Helper()
	p := &pod{clock: clockwork.NewFakeClock(), ended: make(chan ending, 1000)}
	cfg := config(t)
	cfg.Clock = p.clock
	cfg.OnEnd = func(id session.ID, reason string) { p.ended <- ending{id, reason} }
	for _, o := range options {
		o(&cfg)
	}
	var err error
	p.Manager, err = call.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, p.Close(ctx))
	})
	return p
}

func config(t testing.TB) call.Config {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	return call.Config{
		Media: socket, MaxCalls: 100, Heartbeat: time.Second, SetupTimeout: 5 * time.Second,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Respond: func(context.Context, session.ID, string) (call.Answer, error) {
			return call.Answer{}, nil
		},
	}
}

func next[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// newOffer makes an offer of PCMU and the transcript channel, without candidates.
func newOffer(t testing.TB) string {
	t.Helper()
	engine, err := media.Engine()
	require.NoError(t, err)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	defer func() { require.NoError(t, pc.GracefulClose()) }()
	_, err = pc.AddTrack(media.NewTrack("microphone", "caller"))
	require.NoError(t, err)
	_, err = pc.CreateDataChannel(wire.TranscriptChannel, nil)
	require.NoError(t, err)
	offer, err := pc.CreateOffer(nil)
	require.NoError(t, err)
	return offer.SDP
}
