package peer_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/session"
)

func TestMain(m *testing.M) {
	if inChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of a test: far above what any step takes, so that only a hang meets it.
const patience = 20 * time.Second

// within gives a context that ends with the test, or with its patience.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// heartbeat of the pods in tests.
const heartbeat = 50 * time.Millisecond

// pod is an agent's end on loopback.
type pod struct {
	*call.Manager
	addr *net.UDPAddr
	// gate is the pod's socket, unless an option gave it another.
	gate *gate
	// asked counts the utterances that were answered.
	asked atomic.Int64

	mu    sync.Mutex
	ended []string
}

// startPod starts an agent that answers every utterance. Options change its config.
func startPod(t testing.TB, options ...func(*call.Config)) *pod {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	p := &pod{addr: socket.LocalAddr().(*net.UDPAddr), gate: &gate{UDPConn: socket}}
	cfg := call.Config{
		Media: p.gate, ICELite: call.DefaultICELite, MaxCalls: 1000, Heartbeat: heartbeat, Log: quiet(),
		Respond: func(_ context.Context, _ session.ID, prompt string) (call.Answer, error) {
			turn := p.asked.Add(1)
			return call.Answer{Text: "answer to " + prompt, Turn: uint64(turn), Checksum: fmt.Sprintf("%016x", turn)}, nil
		},
		OnEnd: func(id session.ID, reason string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.ended = append(p.ended, string(id)+" "+reason)
		},
	}
	for _, o := range options {
		o(&cfg)
	}
	p.Manager, err = call.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, p.Close(ctx))
	})
	return p
}

// endings lists the calls that ended so far, as "session reason".
func (p *pod) endings() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.ended...)
}

// to signals to the pod in process, in the name of a session.
func (p *pod) to(id session.ID) peer.Signaler { return signaler{p, id} }

type signaler struct {
	pod *pod
	id  session.ID
}

func (s signaler) Offer(ctx context.Context, sdp string) (peer.Answer, error) {
	a, err := s.pod.Offer(ctx, s.id, sdp)
	return peer.Answer{SDP: a.SDP, ETag: a.ETag, Pod: s.pod.addr.String()}, err
}

func newAPI(t testing.TB) *peer.API {
	t.Helper()
	api, err := peer.NewAPI(peer.APIOptions{Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(api.Close)
	return api
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// dial places a call that must come about, and closes it with the test. The watchdog is off unless the test sets it: on a
// busy machine it may bark at any pod.
func dial(t testing.TB, api *peer.API, sig peer.Signaler, opts peer.Options) *peer.Call {
	t.Helper()
	if opts.Meter == nil {
		opts.Meter = peer.NewMeter(peer.MeterConfig{})
	}
	if opts.Watchdog == 0 {
		opts.Watchdog = -1
	}
	c, err := peer.Dial(within(t), api, sig, opts)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}
