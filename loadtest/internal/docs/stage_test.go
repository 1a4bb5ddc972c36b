package docs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	return s.await(ctx, func(f *stagev1.Frame) (bool, error) {
		begun, done := 0, 0
		for _, e := range f.GetEvents() {
			if e.GetGroup() != order.Group {
				continue
			}
			begun++
			if e.GetError() != "" {
				return false, errors.New(e.GetError())
			}
			if e.FinishedMs != nil {
				done++
			}
		}
		return begun > 0 && done == begun, nil
	})
}

// await looks at the stage until it is as is says, or that fails.
func (s *shells) await(ctx context.Context, is func(*stagev1.Frame) (bool, error)) error {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		f, err := s.frame(ctx)
		if err != nil {
			return err
		}
		if so, err := is(f); so || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the stage does not come to it: %w", ctx.Err())
		case <-again.C:
		}
	}
}

// frame is all that the stage shows.
func (s *shells) frame(ctx context.Context) (*stagev1.Frame, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.stage+"/api/v1/state", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	f := &stagev1.Frame{}
	if err := protojson.Unmarshal(body, f); err != nil {
		return nil, fmt.Errorf("read what the stage shows: %w\n%s", err, body)
	}
	return f, nil
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
	rehearsal = "rehearsal.jsonl.gz"
	sample    = "docs/talk.jsonl.gz"
)

// keep takes what was recorded in a folder into the repository.
func (c *camera) keep(t *testing.T, dir string) {
	if c != nil {
		t.Logf("keeping the recording as %s", sample)
		c.copy(filepath.Join(dir, rehearsal), filepath.Join(root, sample))
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
	line, err := recipe(t.Context(), "make stage ARGS='--record "+rehearsal+"'")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(r.Header.Command, line), "%s\n%s", r.Header.Command, line)
}

// TestAnOrderIsWaitedFor has a stage that is at an order for a while.
func TestAnOrderIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		last *stagev1.Event
		why  string
	}{
		"one that is carried out": {&stagev1.Event{Group: 7, FinishedMs: proto.Float64(3)}, ""},
		"one that fails":          {&stagev1.Event{Group: 7, Error: "no such pod"}, "no such pod"},
	} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			f := &stagev1.Frame{Events: []*stagev1.Event{{Group: 6}, {Group: 7, Lane: "a", FinishedMs: proto.Float64(2)}}}
			if asked < 3 {
				f.Events = append(f.Events, &stagev1.Event{Group: 7, Lane: "b"})
			} else {
				f.Events = append(f.Events, c.last)
			}
			body, err := protojson.Marshal(f)
			require.NoError(t, err)
			_, err = w.Write(body)
			require.NoError(t, err)
		}))
		s := &shells{stage: strings.TrimPrefix(server.URL, "http://")}
		err := s.carriedOut(t.Context(), "curl -s http://"+shownStage+"/api/v1/kill --json '{}'", []byte(`{"group":7}`))
		require.Equal(t, 3, asked, name)
		if c.why == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.why, name)
		}
		require.NoError(t, s.carriedOut(t.Context(), "curl -s http://"+shownStage+"/api/v1/kill --json '{}'", []byte("refused")), "it says so itself")
		require.NoError(t, s.carriedOut(t.Context(), "echo", []byte(`{"group":7}`)))
		require.Equal(t, 3, asked, name)
		server.Close()
	}
}
