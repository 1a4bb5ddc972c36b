package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/browser/phone"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/driver/drivertest"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/director"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/stage/venue"
	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/testreal/browser"
	"github.com/smaran-v2/smaran/services/wire"
)

// programs is where the fleet's programs are built, once.
var programs = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "browser-test-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const (
	lane  = "a"
	pods  = 3
	more  = 10
	after = 30 * time.Second // bounds what the fleet may take
)

// rig is the page of a stage whose one lane is a real fleet.
type rig struct {
	*phone.Phone
	fleet driver.Fleet
	url   string
}

// open brings a fleet up, and the page in Chromium.
func open(t *testing.T, backend string, options ...chromedp.ExecAllocatorOption) *rig {
	t.Helper()
	testreal.Binary(t, testreal.Chromium) // before anything is built for nothing
	r := stageOf(t, backend)
	r.Phone = phone.Open(t, browser.Start(t, options...), r.url, mediaScript)
	return r
}

// stageOf brings a fleet up, and a stage before it.
func stageOf(t *testing.T, backend string) *rig {
	t.Helper()
	dir, err := programs()
	require.NoError(t, err)
	program := filepath.Join(dir, "fleet")
	if _, err := os.Stat(program); err != nil {
		drivertest.Build(t, testreal.Root(t), dir, "services")
	}
	local := driver.Local{Program: program, Dir: t.TempDir()}
	f, err := local.Up(t.Context(), driver.Spec{Backend: backend, Pods: pods, Seed: 7})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Down(context.WithoutCancel(t.Context()))) })
	r := &rig{fleet: f}
	r.serve(t, backend)
	return r
}

// serve serves the stage, which knows of its lane and shows nothing else of it.
func (r *rig) serve(t *testing.T, backend string) {
	t.Helper()
	clock := clockwork.NewRealClock()
	s := scene.New(clock)
	s.Change(func(c *scene.Change) {
		c.Lane(&stagev1.Lane{Id: lane, Backend: backend, State: stagev1.LaneState_LANE_STATE_UP, Smaran: director.PathSmaran + lane})
	})
	handler, err := stage.New(stage.Options{
		Scene: s,
		Lanes: []venue.Lane{{ID: lane, Smaran: r.status(t).GetSmaranUrl()}},
	})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // streams
	r.url = server.URL
}

// mediaScript adds up what getStats says of the newest connection that is open.
const mediaScript = `window.media = async () => {
	const out = { sent: 0, received: 0, sentEnergy: 0, heardEnergy: 0, codec: "", relay: "" };
	const open = connected();
	const report = await open.at(-1)?.getStats() ?? new Map();
	for (const s of report.values()) {
		if (s.type === "outbound-rtp") out.sent += s.packetsSent;
		if (s.type === "media-source") out.sentEnergy += s.totalAudioEnergy ?? 0;
		if (s.type === "inbound-rtp") {
			out.received += s.packetsReceived;
			out.heardEnergy += s.totalAudioEnergy ?? 0;
			out.codec = report.get(s.codecId)?.mimeType;
		}
	}
	return { ...out, open: open.length };
};`

// media is what getStats says of the connection that is open.
type media struct {
	Sent, Received          int
	SentEnergy, HeardEnergy float64
	Codec                   string
	Open                    int
}

func (r *rig) media(t *testing.T) media {
	t.Helper()
	return browser.Eval[media](t, r.Browser, `media()`)
}

func (r *rig) status(t *testing.T) *fleetv1.StatusResponse {
	t.Helper()
	s, err := r.fleet.Status(t.Context())
	require.NoError(t, err)
	return s
}

// do does something to the fleet.
func (r *rig) do(t *testing.T, text string) {
	t.Helper()
	e, err := scenario.ParseEvent("0s:" + text)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	_, err = r.fleet.Do(ctx, e)
	require.NoError(t, err)
}

// hosts are the endpoints in rotation.
func (r *rig) hosts(t *testing.T) (out []affinity.Host) {
	t.Helper()
	history := r.status(t).GetHistory()
	for _, e := range history[len(history)-1].GetEndpoints() {
		if e.GetHealth() == endpoints.Healthy.String() {
			out = append(out, affinity.Host{Address: e.GetAddress()})
		}
	}
	return out
}

// callAndScaleOut calls, asks so often, and scales out, until the ring gives the call's session to another pod.
func (r *rig) callAndScaleOut(t *testing.T, questions int) (from string) {
	t.Helper()
	for range 10 { // 3 of 4 move
		r.Call(t, phone.Tone)
		for range questions {
			r.Ask(t)
		}
		from = r.pod(t)
		id := r.Session(t)
		few := r.hosts(t)
		r.do(t, fmt.Sprintf("scale=%d", more))
		p, err := affinity.Predict(affinity.PolicyRing, affinity.Options{}, few, r.hosts(t), []string{id})
		require.NoError(t, err)
		if p.MovedShare() == 1 {
			return from
		}
		r.HangUp(t)
		r.do(t, fmt.Sprintf("scale=%d", pods))
	}
	t.Fatal("no session moved")
	return ""
}

// calls is how many calls the pods have by their own account.
func (r *rig) calls(t *testing.T) (n int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.status(t).GetSmaranUrl()+wire.PathFleet, nil)
	require.NoError(t, err)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var fleet struct{ Pods []struct{ Calls int } }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&fleet))
	for _, p := range fleet.Pods {
		n += p.Calls
	}
	return n
}

// pod is the one that has the call.
func (r *rig) pod(t *testing.T) string {
	t.Helper()
	name := r.Fact(t, "pod")
	require.True(t, strings.HasPrefix(name, "jarvis-"), name)
	return name
}
