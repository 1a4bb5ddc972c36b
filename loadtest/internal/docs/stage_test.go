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

// show keeps a picture of the page, where the document has one and pictures are taken.
func (s *shells) show(ctx context.Context, picture string) error {
	if s.picture == nil || picture == "" {
		return nil
	}
	return s.picture(ctx, "http://"+s.stage, picture)
}

// settles is how long a room looks before a picture is taken.
const settles = 6 * time.Second

// takePicture opens the page in a Chromium of its own, lets it run for a while, and keeps what it shows.
func takePicture(t *testing.T) func(context.Context, string, string) error {
	return func(ctx context.Context, stage, path string) error {
		b := browser.Start(t)
		b.Do(t, chromedp.Navigate(stage+"/"))
		timer := time.NewTimer(settles)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		name := strings.TrimSuffix(filepath.Base(path), ".png")
		b.Screenshot(t, name)
		taken, err := os.ReadFile(filepath.Join(root, "out", "screens", name+".png"))
		require.NoError(t, err)
		return os.WriteFile(filepath.Join(root, path), taken, 0o644)
	}
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
