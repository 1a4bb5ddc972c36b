package program_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/stage"
	"github.com/smaran-v2/smaran/services/stage/program"
	"github.com/smaran-v2/smaran/services/stage/recording"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hang = 20 * time.Second

// output of a program that runs meanwhile.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	select {
	case o.written <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// running is the program in the background.
type running struct {
	t     *testing.T
	out   *output
	ended chan error
	stop  func()
}

func start(t *testing.T, args, environ []string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{t: t, out: &output{written: make(chan struct{}, 1)}, ended: make(chan error, 1)}
	go func() { r.ended <- program.Run(ctx, args, environ, r.out, r.out) }()
	r.stop = sync.OnceFunc(func() {
		stop()
		require.NoError(t, <-r.ended)
	})
	t.Cleanup(r.stop)
	return r
}

// says waits until the program has printed what matches, and returns the first group.
func (r *running) says(pattern string) string {
	r.t.Helper()
	late := time.After(hang)
	for {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(r.out.String()); found != nil {
			return found[1]
		}
		select {
		case <-r.out.written:
		case err := <-r.ended:
			r.ended <- nil
			require.Fail(r.t, "it ended", "%v\n%s", err, r.out)
		case <-late:
			require.Fail(r.t, "it does not say "+pattern, r.out.String())
		}
	}
}

func do(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

func state(t *testing.T, url string) *stagev1.Frame {
	t.Helper()
	code, body := do(t, http.MethodGet, url+"api/v1/state", "")
	require.Equal(t, 200, code)
	f := new(stagev1.Frame)
	require.NoError(t, protojson.Unmarshal([]byte(body), f))
	return f
}

func record(t *testing.T, frames string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "show.jsonl")
	head := `{"schema":"` + recording.Schema + `","recorded":"2026-11-28T15:00:00Z","machine":"a machine","command":"bin/fleet up","versions":{}}` + "\n"
	require.NoError(t, os.WriteFile(path, []byte(head+frames), 0o600))
	return path
}

const frames = `{"whole":true,"pods":[{"lane":"a","name":"jarvis-0"}]}` + "\n" + `{"atMs":60000,"pods":[{"lane":"a","name":"jarvis-1"}]}` + "\n"

func TestReplayPlaysOnThePage(t *testing.T) {
	opened := filepath.Join(t.TempDir(), "opened")
	browser := filepath.Join(t.TempDir(), "browser")
	require.NoError(t, os.WriteFile(browser, []byte("#!/bin/sh\necho \"$1\" >'"+opened+"'\n"), 0o755))
	r := start(t, []string{"replay", record(t, frames+`{"atMs":`), "--listen", "127.0.0.1:0", "--speed", "0", "--open"}, []string{"BROWSER=" + browser, "PATH=" + os.Getenv("PATH")})
	url := r.says(`the page: (\S+)`)
	require.Contains(t, r.out.String(), "1m0s of bin/fleet up")
	require.Contains(t, r.out.String(), "recorded 2026-11-28 15:00:00 UTC on a machine")
	require.Contains(t, r.out.String(), "middle of line 4")

	require.Len(t, state(t, url).GetPods(), 1)
	require.Equal(t, "a machine", state(t, url).GetRecording().GetMachine())
	code, _ := do(t, http.MethodPost, url+"api/v1/replay", `{"at_ms":60000}`)
	require.Equal(t, http.StatusNoContent, code)
	require.Len(t, state(t, url).GetPods(), 2)
	code, _ = do(t, http.MethodPost, url+"api/v1/kill", `{}`)
	require.Equal(t, http.StatusConflict, code, "a recording can't be steered as a fleet")
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(opened)
		return err == nil && strings.TrimSpace(string(b)) == url
	}, hang, 5*time.Millisecond)
	r.stop()
}

func TestReplaySaysWhatIsWrong(t *testing.T) {
	good := record(t, frames)
	taken := start(t, []string{"replay", good, "--listen", "127.0.0.1:0"}, nil)
	address := strings.TrimSuffix(strings.TrimPrefix(taken.says(`the page: (\S+)`), "http://"), "/")
	for name, tc := range map[string]struct {
		args []string
		want error
		says string
	}{
		"no file":        {[]string{"replay"}, program.ErrUsage, "<file>"},
		"a file is gone": {[]string{"replay", good + ".gone"}, os.ErrNotExist, "gone"},
		"no recording":   {[]string{"replay", record(t, "")}, recording.ErrFormat, "no frame"},
		"too fast":       {[]string{"replay", good, "--speed", "1000"}, program.ErrUsage, "speed"},
		"for others":     {[]string{"replay", good, "--listen", "0.0.0.0:0"}, stage.ErrToken, "token"},
		"a taken port":   {[]string{"replay", good, "--listen", address}, nil, "--listen"},
		"unknown":        {[]string{"rewind"}, program.ErrUsage, "rewind"},
		"serve has none": {[]string{"serve", "--listen=:80"}, program.ErrUsage, "--listen"},
	} {
		err := program.Run(t.Context(), tc.args, nil, io.Discard, io.Discard)
		require.Error(t, err, name)
		require.ErrorContains(t, err, tc.says, name)
		if tc.want != nil {
			require.ErrorIs(t, err, tc.want, name)
		}
	}
}

func TestServeShowsFleetsElsewhere(t *testing.T) {
	smaran := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"backend":"app-hash","pods":[]}`)
	}))
	defer smaran.Close()
	mux := http.NewServeMux()
	mux.Handle(fleetv1connect.NewFleetServiceHandler(fleetv1connect.UnimplementedFleetServiceHandler{}))
	fleet := httptest.NewServer(mux)
	defer fleet.Close()
	environ := func(more ...string) []string {
		return append([]string{"STAGE_LISTEN=127.0.0.1:0", "STAGE_CROWD_LISTEN=127.0.0.1:0", "STAGE_ADMIN_LISTEN=127.0.0.1:0",
			"STAGE_LANES=a=" + smaran.URL + ",b=" + smaran.URL, "STAGE_FLEETS=b=" + fleet.URL, "STAGE_RELAY=true"}, more...)
	}
	path := filepath.Join(t.TempDir(), "show.jsonl.gz")
	r := start(t, []string{"serve"}, environ("STAGE_RECORD="+path))
	url := "http://" + r.says(`page=(\S+)`) + "/"
	admin := "http://" + r.says(`admin=(\S+)`)
	for _, probe := range []string{"/healthz", "/readyz", "/metrics"} {
		code, _ := do(t, http.MethodGet, admin+probe, "")
		require.Equal(t, 200, code, probe)
	}
	require.NoError(t, program.Run(t.Context(), []string{"health"}, environ("STAGE_ADMIN_LISTEN="+strings.TrimPrefix(admin, "http://")), io.Discard, io.Discard))

	lanes := map[string]*stagev1.Lane{}
	require.Eventually(t, func() bool {
		for _, l := range state(t, url).GetLanes() {
			lanes[l.GetId()] = l
		}
		return lanes["a"].GetBackend() == "app-hash"
	}, hang, 20*time.Millisecond)
	require.True(t, lanes["a"].GetRelay())
	require.Equal(t, "/smaran/a", lanes["a"].GetSmaran())
	require.NotContains(t, lanes["a"].GetVerbs(), "scale")
	require.Contains(t, lanes["a"].GetVerbsReason(), "no control API")
	require.Contains(t, lanes["b"].GetVerbs(), "scale")
	code, _ := do(t, http.MethodPost, url+"smaran/a/v1/sessions", "")
	require.Equal(t, http.StatusOK, code, "what its smaran says")
	code, _ = do(t, http.MethodPost, url+"api/v1/scale", `{"lane":"a","pods":5}`)
	require.Equal(t, http.StatusConflict, code)
	code, _ = do(t, http.MethodPost, url+"api/v1/scale", `{"lane":"b","pods":5}`)
	require.Equal(t, http.StatusAccepted, code)
	r.stop()
	kept, err := recording.Open(path)
	require.NoError(t, err)
	require.Equal(t, "stage serve", kept.Header.Command)
}

func TestServeOnlyShowsToOthersWithoutAToken(t *testing.T) {
	environ := []string{"STAGE_LISTEN=0.0.0.0:0", "STAGE_CROWD_LISTEN=127.0.0.1:0", "STAGE_ADMIN_LISTEN=127.0.0.1:0", "STAGE_LANES=a=http://127.0.0.1:1"}
	r := start(t, []string{"serve"}, environ)
	_, port, _ := strings.Cut(r.says(`page="?(\[::\]:\d+|0\.0\.0\.0:\d+)`), ":")
	port = port[strings.LastIndex(port, ":")+1:]
	url := "http://127.0.0.1:" + port + "/"
	code, _ := do(t, http.MethodPost, url+"api/v1/reset", `{}`)
	require.Equal(t, http.StatusConflict, code)
	lane := state(t, url).GetLanes()[0]
	require.Empty(t, lane.GetVerbs())
	require.Contains(t, lane.GetVerbsReason(), "without a token")
	r.stop()

	r = start(t, []string{"serve"}, append(environ, "STAGE_TOKEN=secret"))
	listens := r.says(`page="?([^" ]+)`)
	url = "http://127.0.0.1" + listens[strings.LastIndex(listens, ":"):] + "/"
	code, _ = do(t, http.MethodPost, url+"api/v1/reset", `{}`)
	require.Equal(t, http.StatusUnauthorized, code)
}

func TestTheEnvironmentIsStrict(t *testing.T) {
	const lanes = "STAGE_LANES=a=http://smaran-v2:8080"
	for name, tc := range map[string]struct {
		environ []string
		says    string
	}{
		"no lanes":          {nil, "LANES"},
		"empty lanes":       {[]string{"STAGE_LANES="}, "LANES"},
		"unknown":           {[]string{lanes, "STAGE_LANE=a"}, "STAGE_LANE;"},
		"no URL":            {[]string{"STAGE_LANES=a"}, `"a"`},
		"no name":           {[]string{"STAGE_LANES=http://h"}, "http://h"},
		"a name with space": {[]string{"STAGE_LANES=a b=http://h"}, "a b"},
		"twice":             {[]string{"STAGE_LANES=a=http://h,a=http://g"}, "twice"},
		"another's fleet":   {[]string{lanes, "STAGE_FLEETS=b=http://h"}, "LANES has no b"},
		"no pods":           {[]string{lanes, "STAGE_PODS=0"}, "PODS"},
		"no rate":           {[]string{lanes, "STAGE_RATE=0"}, "RATE"},
		"no grace":          {[]string{lanes, "STAGE_SHUTDOWN_GRACE=-1s"}, "SHUTDOWN_GRACE"},
	} {
		err := program.Run(t.Context(), []string{"serve"}, tc.environ, io.Discard, io.Discard)
		require.Error(t, err, name)
		require.ErrorContains(t, err, tc.says, name)
		require.True(t, strings.Contains(err.Error(), config.ErrInvalid.Error()) || strings.Contains(err.Error(), config.ErrUnknownKey.Error()), err.Error())
	}
}

func TestHelpIsNoError(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, program.Run(t.Context(), nil, nil, &out, io.Discard))
	for _, verb := range []string{"serve", "replay", "health"} {
		require.Contains(t, out.String(), verb)
	}
}
