package docs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/driver/drivertest"
)

const (
	// perCommand bounds one, a fleet's start among them, on a machine that is busy.
	perCommand = time.Minute
	// The addresses that documents show, where fleets and what asks them meet unless told otherwise.
	shownSmaran, shownControl, shownStage = "127.0.0.1:8080", "127.0.0.1:7070", "127.0.0.1:7080"
)

// programs builds all of them into a folder's bin.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	drivertest.Build(t, root, filepath.Join(dir, "bin"), "services", "loadtest")
	return dir
}

// needCurl skips without a curl that the documents' commands can be typed with; where tests must not be skipped it fails.
func needCurl(t *testing.T) {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "curl", "--version").Output()
	var major, minor int
	if err == nil {
		_, err = fmt.Sscanf(string(said), "curl %d.%d", &major, &minor)
	}
	if err == nil && (major > 7 || major == 7 && minor >= 84) { // --write-out has %header{} since
		return
	}
	const reason = "SKIP-REASON: no curl from 7.84 on, which the documents' commands use: for example apt-get install curl"
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// shells is where a transcript is run: a folder that has bin/, and addresses that nobody else uses in place of those shown.
type shells struct {
	dir                    string
	smaran, control, stage string
	// camera, where the stage's pictures are taken anew, takes them.
	camera *camera
}

// elsewhere has the shells' own addresses in place of those that documents show, and back has those shown.
func (s *shells) elsewhere(text string) string {
	return strings.NewReplacer(shownSmaran, s.smaran, shownControl, s.control, shownStage, s.stage).Replace(text)
}

func (s *shells) back(text string) string {
	return strings.NewReplacer(s.smaran, shownSmaran, s.control, shownControl, s.stage, shownStage).Replace(text)
}

// starting keeps two fleets from choosing their ports at the same time.
var starting sync.Mutex

func (s *shells) command(ctx context.Context, line string) *exec.Cmd {
	line = s.elsewhere(line)
	if strings.HasPrefix(line, "bin/fleet up") && !strings.Contains(line, "--listen") {
		line += " --listen " + s.smaran
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec 2>&1; "+line)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "FLEET_CONTROL="+s.control, "BROWSER=true") // which opens nothing
	cmd.WaitDelay = time.Second
	return cmd
}

// up starts the fleet, waits until it says that all is there, and returns what ends it.
func (s *shells) up(ctx context.Context, line string) (func() error, error) {
	starting.Lock()
	defer starting.Unlock()
	line, err := recipe(ctx, line)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(line, "--listen ") {
		line += " --listen " + s.smaran
	}
	cmd := s.command(ctx, "exec "+line) // without exec a signal would end the shell alone
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer time.AfterFunc(perCommand, func() { _ = cmd.Process.Signal(syscall.SIGTERM) }).Stop()
	var said bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(stdout, &said))
	for lines.Scan() {
		if lines.Text() == "Ctrl-C ends it all" {
			drained := make(chan struct{})
			go func() { defer close(drained); _, _ = io.Copy(io.Discard, stdout) }()
			return func() error {
				err := cmd.Process.Signal(syscall.SIGINT)
				<-drained
				if waited := cmd.Wait(); waited != nil {
					err = waited
				}
				return err
			}, nil
		}
	}
	return nil, fmt.Errorf("the fleet did not come up: %w\n%s", cmd.Wait(), said.String())
}

// run does what the transcript does, and fails with the first output that is not the document's.
func (s *shells) run(ctx context.Context, tr transcript) (err error) {
	if tr.up != "" {
		down, err := s.up(ctx, tr.up)
		if err != nil {
			return err
		}
		defer func() {
			if ended := down(); err == nil && ended != nil {
				err = fmt.Errorf("the fleet ended with %w", ended)
			}
		}()
	}
	s.camera.take(ctx, s.stage, tr.picture)
	for _, step := range tr.steps {
		if err := s.do(ctx, step); err != nil {
			return fmt.Errorf("%s: %w", step.command, err)
		}
	}
	return nil
}

// do types one command, and compares what it says.
func (s *shells) do(ctx context.Context, step step) error {
	ctx, cancel := context.WithTimeout(ctx, perCommand)
	defer cancel()
	// How a command ends is not shown, and so not compared: one that can't be started says so.
	out, _ := s.command(ctx, step.command).Output()
	got := s.back(string(out))
	if ctx.Err() != nil {
		return fmt.Errorf("%w\n%s", ctx.Err(), got)
	}
	if !says(step.output, got) {
		return fmt.Errorf("\n--- the document says:\n%s\n--- it said:\n%s", strings.Join(step.output, "\n"), got)
	}
	if err := s.carriedOut(ctx, step.command, out); err != nil {
		return err
	}
	s.camera.take(ctx, s.stage, step.picture)
	return nil
}

// TestTranscripts runs every one of them, some at a time, against fleets of their own; and first some that are not true.
func TestTranscripts(t *testing.T) {
	needCurl(t)
	built := programs(t)
	t.Run("one that is not true is found", func(t *testing.T) { untrueIsFound(t, built) })
	ran := 0
	for _, p := range pages(t) {
		list, err := p.transcripts()
		require.NoError(t, err)
		for _, tr := range list {
			ran++
			t.Run(fmt.Sprintf("%s:%d", tr.page, tr.line), func(t *testing.T) {
				t.Parallel()
				s := newShells(t, built)
				if os.Getenv("UPDATE_STAGE") != "" && tr.pictured() {
					s.smaran, s.control, s.stage, s.camera = shownSmaran, shownControl, shownStage, newCamera(t)
				}
				require.NoError(t, s.run(t.Context(), tr))
				s.camera.keep(t, s.dir)
			})
		}
	}
	require.NotZero(t, ran)
}

func newShells(t *testing.T, built string) *shells {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(built, "bin"), filepath.Join(dir, "bin")))
	return &shells{dir: dir, smaran: freeAddress(t), control: freeAddress(t), stage: freeAddress(t)}
}

// freeAddress is one that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	held, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer held.Close()
	return held.Addr().String()
}

func untrueIsFound(t *testing.T, built string) {
	for name, c := range map[string]struct {
		tr  transcript
		why string
	}{
		"true":             {transcript{steps: []step{{command: "echo a; echo b >&2", output: []string{"a", "b"}}}}, ""},
		"other output":     {transcript{steps: []step{{command: "echo a", output: []string{"b"}}}}, "the document says"},
		"no such verb":     {transcript{steps: []step{{command: "bin/fleet psx", output: []string{"…", "Ctrl-C ends it all"}}}}, "unexpected argument"},
		"no such backend":  {transcript{up: "bin/fleet up --backend none", steps: []step{{command: "true"}}}, "did not come up"},
		"another pod":      {transcript{up: "bin/fleet up --pods 1 --weights-mb 1", steps: []step{{command: "bin/fleet kill jarvis-9", output: []string{"killed …"}}}}, "jarvis-9"},
		"the fleet is one": {transcript{up: "bin/fleet up --pods 1 --weights-mb 1", steps: []step{{command: "bin/fleet down", output: []string{"the fleet is down"}}}}, ""},
		"no such target":   {transcript{up: "make stages", steps: []step{{command: "true"}}}, "No rule"},
	} {
		t.Run(name, func(t *testing.T) {
			err := newShells(t, built).run(t.Context(), c.tr)
			if c.why == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.why)
		})
	}
}
