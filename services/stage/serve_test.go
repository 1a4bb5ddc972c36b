package stage_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/proto/stage/v1/stagev1connect"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

func listener(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := httpserver.Listen(t.Context(), addr)
	require.NoError(t, err)
	return l
}

// A whole stage: a page, a crowd over h2c, a director between them, and a recording of it.
func TestServeIsAWholeStage(t *testing.T) {
	smaran := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(asJSON(t, &smaranv1.GetFleetResponse{Backend: "redis"})))
	}))
	defer smaran.Close()
	clock := clockwork.NewRealClock()
	s := scene.New(clock)
	log := slog.New(slog.DiscardHandler)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	here := place{lanes: []venue.Lane{{ID: "a", Smaran: smaran.URL, Verbs: []venue.Verb{venue.Load}}}}
	directs, err := director.New(director.Options{Venue: here, Scene: s, Clock: clock, Log: log, HTTP: &http.Client{Transport: transport}, Calls: 2, Rate: 2})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "show.jsonl.gz")
	header, err := recording.Describe(t.Context(), "a test", clock.Now())
	require.NoError(t, err)
	recorder, err := recording.Create(path, header)
	require.NoError(t, err)

	page, crowds := listener(t, "127.0.0.1:0"), listener(t, "127.0.0.1:0")
	ctx, stop := context.WithTimeout(t.Context(), hang)
	defer stop()
	ended, over := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- stage.Serve(ctx, stage.Server{
			Options:  stage.Options{Scene: s, Doer: directs, Lanes: here.lanes, Log: log},
			Listener: page, Crowds: crowds, Director: directs, Recorder: recorder, Over: over, Grace: time.Second,
		})
	}()

	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	carrier := &http.Transport{Protocols: &h2c}
	defer carrier.CloseIdleConnections()
	crowd := stagev1connect.NewCrowdServiceClient(&http.Client{Transport: carrier}, "http://"+crowds.Addr().String()).Attach(ctx)
	require.NoError(t, crowd.Send(&stagev1.AttachRequest{Message: &stagev1.AttachRequest_Hello{Hello: &stagev1.CrowdHello{Lane: "a", Version: "test"}}}))
	// ordered waits until the crowd is to have so many callers; at first it waits for its lane to be up.
	ordered := func(calls uint32) *stagev1.CrowdOrder {
		for {
			told, err := crowd.Receive()
			require.NoError(t, err)
			if told.GetOrder().GetCalls() == calls {
				return told.GetOrder()
			}
		}
	}
	begin := ordered(2)
	require.NoError(t, crowd.Send(&stagev1.AttachRequest{Message: &stagev1.AttachRequest_Observations{Observations: &stagev1.Observations{
		Take: begin.GetTake(), Inferences: []*stagev1.CrowdInference{{Session: "s-1", Ago: durationpb.New(0), Pod: "jarvis-0", State: "cold", First: true}},
	}}}))

	// The page shows what the crowd saw, and what is ordered on it reaches the crowd.
	f := follow(t, "http://"+page.Addr().String()+"/api/v1/stream")
	for seen := false; !seen; {
		for _, one := range f.frame().frame.GetSessions() {
			seen = seen || one.GetId() == "s-1" && one.GetState() == "cold"
		}
	}
	res := ask(t, http.MethodPost, "http://"+page.Addr().String()+"/api/v1/load", `{"calls":5,"rate":5}`, "Content-Type", asJSONBody)
	require.Equal(t, http.StatusAccepted, res.code, res.body)
	ordered(5)

	close(over)
	require.Eventually(t, func() bool {
		r, err := recording.Open(path)
		return err == nil && r.Notice == ""
	}, hang, 5*time.Millisecond, "the recording is whole while the page goes on")
	res = ask(t, http.MethodPost, "http://"+page.Addr().String()+"/api/v1/load", `{"calls":7,"rate":5}`, "Content-Type", asJSONBody)
	require.Equal(t, http.StatusAccepted, res.code, res.body)
	ordered(7)
	stop()
	require.NoError(t, <-ended)
	for more := true; more; {
		_, more = f.next() // to its end
	}
	r, err := recording.Open(path)
	require.NoError(t, err)
	require.Empty(t, r.Notice)
	again := scene.New(clockwork.NewFakeClock())
	p, err := recording.NewPlayer(recording.Options{Recording: r, Scene: again, Clock: clockwork.NewFakeClock()})
	require.NoError(t, err)
	end := float64(r.Length().Milliseconds() + 1)
	require.NoError(t, p.Steer(recording.Steering{AtMs: &end}))
	played, _ := again.Frame(0)
	require.NotEmpty(t, played.GetSessions())
	require.EqualValues(t, 5, played.GetLanes()[0].GetLoad().GetCalls(), "what came after the show is not in it")
	require.Equal(t, "s-1", played.GetSessions()[0].GetId())
}

func TestAStageThatOthersCouldSteerNeedsAToken(t *testing.T) {
	s := scene.New(clockwork.NewFakeClock())
	for _, addr := range []string{"0.0.0.0:0", "[::]:0"} {
		l := listener(t, addr)
		err := stage.Serve(t.Context(), stage.Server{Options: stage.Options{Scene: s, Doer: &doer{}}, Listener: l})
		require.ErrorIs(t, err, stage.ErrToken)
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	for name, o := range map[string]stage.Options{"a token": {Scene: s, Doer: &doer{}, Token: "x"}, "nothing to steer": {Scene: s}} {
		require.NoError(t, stage.Serve(ended, stage.Server{Options: o, Listener: listener(t, "0.0.0.0:0")}), name)
	}
}

func TestServeClosesAllOfWhatItCantServe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "show.jsonl")
	header, err := recording.Describe(t.Context(), "a test", time.Now())
	require.NoError(t, err)
	recorder, err := recording.Create(path, header)
	require.NoError(t, err)
	page, crowds := listener(t, "127.0.0.1:0"), listener(t, "127.0.0.1:0")
	err = stage.Serve(t.Context(), stage.Server{
		Options: stage.Options{Scene: scene.New(clockwork.NewFakeClock())}, Listener: page, Crowds: crowds, Recorder: recorder})
	require.ErrorIs(t, err, stage.ErrOptions, "crowds without a director")
	for _, l := range []net.Listener{page, crowds} {
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	}
	require.Error(t, recorder.Close(), "it is closed")
}

func TestURLIsWhereTheBrowserOfThisMachineFindsThePage(t *testing.T) {
	at := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 7080} }
	require.Equal(t, "http://127.0.0.1:7080/", stage.URL(at("127.0.0.1"), ""))
	require.Equal(t, "http://[::1]:7080/", stage.URL(at("::1"), ""))
	require.Equal(t, "http://127.0.0.1:7080/", stage.URL(at("0.0.0.0"), ""))
	require.Equal(t, "http://127.0.0.1:7080/#token=a%20b%26%2B", stage.URL(at("::"), "a b&+"))
}
