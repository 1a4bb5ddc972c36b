package jarvis_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/alicebob/miniredis/v2"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/internal/healthcheck"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// process is a pod run as its main runs it.
type process struct {
	log        *syncBuffer
	url, admin string
	http       *http.Client
	rpc        jarvisv1connect.JarvisServiceClient
	terminate  context.CancelFunc
	ended      chan error
}

// run starts a pod on loopback ports of the system's choice and waits until it is ready.
func run(t *testing.T, environ ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	transport := new(http.Transport)
	p := &process{log: new(syncBuffer), http: &http.Client{Transport: transport, Timeout: 20 * time.Second},
		terminate: cancel, ended: make(chan error, 1)}
	environ = append([]string{
		"JARVIS_LISTEN=127.0.0.1:0", "JARVIS_ADMIN_LISTEN=127.0.0.1:0", "JARVIS_MEDIA_LISTEN=127.0.0.1:0", "JARVIS_POD=jarvis-1",
		"JARVIS_WEIGHTS_MB=1", "JARVIS_SLICE_LOAD=20ms", "JARVIS_CACHE_REBUILD_MIN=10ms", "JARVIS_CACHE_REBUILD_MAX=15ms",
		"JARVIS_INFERENCE_MEAN=10ms", "JARVIS_HEARTBEAT=50ms", "JARVIS_LOG_FORMAT=json",
	}, environ...)
	go func() { p.ended <- jarvis.Run(ctx, nil, environ, io.Discard, p.log) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		<-p.ended
	})
	require.Eventually(t, func() bool {
		started, ok := p.record("starting")
		p.url, p.admin = "http://"+fmt.Sprint(started["address"]), "http://"+fmt.Sprint(started["admin"])
		return ok
	}, 10*time.Second, time.Millisecond, p.log)
	p.rpc = jarvisv1connect.NewJarvisServiceClient(p.http, p.url, connect.WithInterceptors(session.Interceptor(session.Strict)))
	require.Eventually(t, func() bool { return p.get(t, "/readyz") == "ok\n" }, 10*time.Second, time.Millisecond)
	return p
}

// record is the first log record with a message.
func (p *process) record(msg string) (map[string]any, bool) {
	lines := bufio.NewScanner(strings.NewReader(p.log.String()))
	for lines.Scan() {
		record := map[string]any{}
		if json.Unmarshal(lines.Bytes(), &record) == nil && record["msg"] == msg {
			return record, true
		}
	}
	return nil, false
}

func (p *process) get(t *testing.T, path string) string {
	t.Helper()
	res, err := p.http.Get(p.admin + path)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body)
}

func (p *process) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.ended:
		p.ended <- nil // for the cleanup
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		require.Fail(t, "the pod did not end", p.log)
	}
}

// caller is the other end of a call, and hears what the agent writes.
type caller struct {
	transcripts chan string
}

// dial places a call over RPC and returns once its data channel is open.
func (p *process) dial(t *testing.T, id session.ID) *caller {
	t.Helper()
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(pcmu(t))).NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pc.GracefulClose()) })
	_, err = pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio)
	require.NoError(t, err)
	channel, err := pc.CreateDataChannel(wire.TranscriptChannel, nil)
	require.NoError(t, err)
	c := &caller{transcripts: make(chan string, 10)}
	opened := make(chan struct{})
	channel.OnOpen(func() { close(opened) })
	channel.OnMessage(func(m webrtc.DataChannelMessage) { c.transcripts <- string(m.Data) })

	offer, err := pc.CreateOffer(nil)
	require.NoError(t, err)
	gathered := webrtc.GatheringCompletePromise(pc)
	require.NoError(t, pc.SetLocalDescription(offer))
	<-gathered
	answer, err := p.rpc.Offer(as(t, id), connect.NewRequest(&jarvisv1.OfferRequest{Sdp: pc.LocalDescription().SDP}))
	require.NoError(t, err)
	require.NotEmpty(t, answer.Msg.GetEtag())
	require.NoError(t, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.Msg.GetSdp()}))
	select {
	case <-opened:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the data channel did not open", p.log)
	}
	return c
}

func pcmu(t *testing.T) *webrtc.MediaEngine {
	t.Helper()
	engine := new(webrtc.MediaEngine)
	require.NoError(t, engine.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000, Channels: 1}, PayloadType: 0,
	}, webrtc.RTPCodecTypeAudio))
	return engine
}

// A pod from its start to its end, with a real call.
func TestRunServesACallAndDrains(t *testing.T) {
	p := run(t, "JARVIS_DRAIN_TIMEOUT=20s")
	c := p.dial(t, "a")
	require.Eventually(t, func() bool { // the agent sees the channel a moment later
		res, err := p.rpc.Infer(as(t, "a"), connect.NewRequest(&jarvisv1.InferRequest{Prompt: "hello"}))
		require.NoError(t, err)
		require.True(t, res.Msg.GetServed().GetCallHeld())
		return res.Msg.GetSpoken()
	}, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, <-c.transcripts, "You said: hello")
	metrics := p.get(t, "/metrics")
	require.Contains(t, metrics, "\njarvis_calls 1\n")
	require.Contains(t, metrics, "\njarvis_sessions 1\n")

	stream, err := p.rpc.Watch(as(t, "a"), connect.NewRequest(&jarvisv1.WatchRequest{}))
	require.NoError(t, err)
	require.True(t, stream.Receive(), stream.Err())
	require.Equal(t, "jarvis-1", stream.Msg().GetPod().GetServed().GetPod())

	p.terminate()
	var draining *jarvisv1.Draining
	for draining == nil {
		require.True(t, stream.Receive(), stream.Err())
		draining = stream.Msg().GetDraining()
	}
	require.InDelta(t, 20, draining.GetRemaining().AsDuration().Seconds(), 2)
	require.Equal(t, "ok\n", p.get(t, "/readyz"))
	_, err = p.rpc.Infer(as(t, "new"), connect.NewRequest(&jarvisv1.InferRequest{}))
	requireCode(t, connect.CodeUnavailable, wire.CodeDraining, err)
	res, err := p.rpc.Infer(as(t, "a"), connect.NewRequest(&jarvisv1.InferRequest{}))
	require.NoError(t, err)
	require.True(t, res.Msg.GetSpoken(), "the call goes on")

	_, err = p.rpc.Hangup(as(t, "a"), connect.NewRequest(&jarvisv1.HangupRequest{}))
	require.NoError(t, err)
	var reason string
	for stream.Receive() {
		reason = stream.Msg().GetEnded().GetReason()
	}
	require.NoError(t, stream.Err())
	require.Equal(t, "hangup", reason)
	require.NoError(t, stream.Close())
	p.end(t)
}

func TestRunCutsTheCallsThatOutlastTheDrain(t *testing.T) {
	p := run(t, "JARVIS_DRAIN_TIMEOUT=100ms")
	p.dial(t, "on-and-on")
	stream, err := p.rpc.Watch(as(t, "on-and-on"), connect.NewRequest(&jarvisv1.WatchRequest{}))
	require.NoError(t, err)
	p.terminate()
	for stream.Receive() {
		require.Nil(t, stream.Msg().GetEnded(), "to the caller the pod is lost")
	}
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(stream.Err()))
	require.NoError(t, stream.Close())
	p.end(t)
	record, ok := p.record("drain ran out of time")
	require.True(t, ok, p.log)
	require.Equal(t, []any{"on-and-on"}, record["calls_cut"])
}

func TestRunFinishesRequestsInFlight(t *testing.T) {
	p := run(t, "JARVIS_SLICE_LOAD=500ms")
	answered := make(chan error, 1)
	go func() {
		_, err := p.rpc.Infer(as(t, "a"), connect.NewRequest(&jarvisv1.InferRequest{}))
		answered <- err
	}()
	require.Eventually(t, func() bool { return strings.Contains(p.get(t, "/metrics"), "\njarvis_sessions 1\n") }, 10*time.Second, time.Millisecond)
	p.terminate()
	require.NoError(t, <-answered)
	p.end(t)
}

func TestRunNeedsNoRedis(t *testing.T) {
	redis := miniredis.RunT(t)
	p := run(t, "JARVIS_REDIS_ADDR="+redis.Addr())
	require.Eventually(t, func() bool { return redis.HGet("pod:jarvis-1", "state") == "ready" }, 10*time.Second, time.Millisecond)
	redis.Close()
	require.Eventually(t, func() bool {
		_, ok := p.record("registry does not answer; going on without")
		return ok
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, "ok\n", p.get(t, "/readyz"))
	require.Equal(t, "ok\n", p.get(t, "/healthz"))
	_, err := p.rpc.Infer(as(t, "a"), connect.NewRequest(&jarvisv1.InferRequest{}))
	require.NoError(t, err)
	p.terminate()
	p.end(t)
}

func TestHealthIsAskedOfTheRunningPod(t *testing.T) {
	p := run(t)
	health := func() error {
		return jarvis.Run(t.Context(), []string{"health"},
			[]string{"JARVIS_ADMIN_LISTEN=" + strings.TrimPrefix(p.admin, "http://")}, io.Discard, io.Discard)
	}
	require.NoError(t, health())
	p.terminate()
	p.end(t)
	require.ErrorIs(t, health(), healthcheck.ErrNotReady)
}

func TestRunRefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	loopback := []string{"JARVIS_LISTEN=127.0.0.1:0", "JARVIS_ADMIN_LISTEN=127.0.0.1:0", "JARVIS_MEDIA_LISTEN=127.0.0.1:0"}
	for name, c := range map[string]struct {
		args, environ []string
		want          string
	}{
		"arguments":       {[]string{"--listen"}, nil, "unexpected argument"},
		"unknown key":     {nil, []string{"JARVIS_PORT=1"}, "JARVIS_PORT"},
		"log level":       {nil, append(loopback, "JARVIS_LOG_LEVEL=loud"), "loud"},
		"port":            {nil, append(loopback, "JARVIS_LISTEN="+taken.Addr().String()), taken.Addr().String()},
		"admin port":      {nil, append(loopback, "JARVIS_ADMIN_LISTEN="+taken.Addr().String()), taken.Addr().String()},
		"media port":      {nil, append(loopback, "JARVIS_MEDIA_LISTEN=192.0.2.1:1"), "192.0.2.1:1"},
		"media advertise": {nil, append(loopback, "JARVIS_MEDIA_ADVERTISE=jarvis"), "AdvertiseIPs"},
		"lease address":   {nil, append(loopback, "JARVIS_LISTEN=:0", "JARVIS_REDIS_ADDR=127.0.0.1:1"), "JARVIS_ADDRESS"},
		"lifeline":        {nil, append(loopback, "LIFELINE_FD=many"), "LIFELINE_FD"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, jarvis.Run(t.Context(), c.args, c.environ, io.Discard, io.Discard), c.want)
		})
	}
}
