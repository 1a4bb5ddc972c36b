package docs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/loadtest/internal/stageclient"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// recipe is what a target of the Makefile runs, where the line is one; else the line. What it would build first is there.
func recipe(ctx context.Context, line string) (string, error) {
	if !strings.HasPrefix(line, "make ") {
		return line, nil
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+line+" --no-print-directory -n -o build 2>&1")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", line, err, out)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "exec "), nil
}

// carriedOut returns once a stage has carried out the order that a command gave, if it did, and fails where it could not.
func (s *shells) carriedOut(ctx context.Context, command string, answer []byte) error {
	var order struct{ Group uint32 }
	if !strings.Contains(command, shownStage+"/api/v1/") || json.Unmarshal(answer, &order) != nil || order.Group == 0 {
		return nil
	}
	_, err := stageclient.Client{HTTP: http.DefaultClient, Base: "http://" + s.stage}.Carried(ctx, order.Group)
	return err
}

// settles is how long a room looks at what an order did.
const settles = 10 * time.Second

// camera is a Chromium on the stage's page. Of a nil one nothing is wanted.
type camera struct {
	t       *testing.T
	browser *browser.Browser
	opened  bool
}

func newCamera(t *testing.T) *camera { return &camera{t: t, browser: browser.Start(t)} }

// take lets the page run for a while, and keeps what it shows, where the document has a picture there.
func (c *camera) take(ctx context.Context, stage, picture string) {
	if c == nil {
		return
	}
	if !c.opened {
		c.browser.Do(c.t, chromedp.Navigate("http://"+stage+"/"))
		c.opened = true
	}
	timer := time.NewTimer(settles)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
	}
	if picture == "" {
		return
	}
	name := strings.TrimSuffix(filepath.Base(picture), ".png")
	c.browser.Screenshot(c.t, name)
	c.copy(filepath.Join(root, "out", "screens", name+".png"), filepath.Join(root, picture))
}

// Names of the recording that the talk has made, and of the one in the repository.
const (
	recorded = "talk-*.jsonl.gz"
	sample   = "docs/talk.jsonl.gz"
)

// keep takes what was recorded in a folder into the repository.
func (c *camera) keep(t *testing.T, dir string) {
	if c != nil {
		t.Logf("keeping the recording as %s", sample)
		made, err := filepath.Glob(filepath.Join(dir, recorded))
		require.NoError(t, err)
		require.Len(t, made, 1)
		c.copy(made[0], filepath.Join(root, sample))
	}
}

func (c *camera) copy(from, to string) {
	what, err := os.ReadFile(from)
	require.NoError(c.t, err)
	require.NoError(c.t, os.WriteFile(to, what, 0o644))
}

// TestTheSampleIsTheTalk opens the recording that a speaker without one of their own has.
func TestTheSampleIsTheTalk(t *testing.T) {
	r, err := recording.Open(filepath.Join(root, sample))
	require.NoError(t, err)
	require.Empty(t, r.Notice, "it is whole")
	require.Greater(t, r.Length(), time.Minute)
	line, err := recipe(t.Context(), "make stage ARGS='--record'")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(r.Header.Command, line), "%s\n%s", r.Header.Command, line)
}

// TestAnOrderIsWaitedFor: of what a command says, only a stage's answer to an order is.
func TestAnOrderIsWaitedFor(t *testing.T) {
	const kill = "curl -s http://" + shownStage + "/api/v1/kill --json '{}'"
	for name, c := range map[string]struct {
		command, answer string
		asked           int
		last            *stagev1.Event
		why             string
	}{
		"one that is carried out": {kill, `{"group":7}`, 2, &stagev1.Event{Group: 7, FinishedMs: proto.Float64(3)}, ""},
		"one that fails":          {kill, `{"group":7}`, 2, &stagev1.Event{Group: 7, Error: "no such pod"}, "no such pod"},
		"one that says so itself": {kill, "refused", 0, nil, ""},
		"no order":                {"echo", `{"group":7}`, 0, nil, ""},
	} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			f := &stagev1.Frame{Events: []*stagev1.Event{{Group: 6}, {Group: 7}}}
			if asked > 1 {
				f.Events[1] = c.last
			}
			body, err := protojson.Marshal(f)
			require.NoError(t, err)
			_, err = w.Write(body)
			require.NoError(t, err)
		}))
		s := &shells{stage: strings.TrimPrefix(server.URL, "http://")}
		err := s.carriedOut(t.Context(), c.command, []byte(c.answer))
		require.Equal(t, c.asked, asked, name)
		if c.why == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.why, name)
		}
		server.Close()
	}
}
