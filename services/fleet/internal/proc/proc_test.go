package proc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/fleet/internal/proc"
	"github.com/smaran-v2/smaran/services/run"
)

const patience = 10 * time.Second

// This test binary is also a guard, and a parent that starts a child and waits, under the names it is linked to.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "guard":
		run.Main(func(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
			return proc.Guard(ctx, args, environ, stdout, stderr)
		})
	case "parent":
		run.Main(parent)
	}
	goleak.VerifyTestMain(m)
}

// parent starts a child and prints its process id.
func parent(ctx context.Context, args, _ []string, stdout, _ io.Writer) error {
	s := proc.NewSpawner(args[2:]...)
	p, err := s.Start(proc.Spec{Path: "/bin/sh", Args: []string{"-c", args[0]}, Log: args[1], Foreign: true})
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, p.PID())
	<-ctx.Done()
	return nil
}

func link(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Symlink(self, path))
	return path
}

func spawner(t *testing.T, guard ...string) *proc.Spawner {
	t.Helper()
	s := proc.NewSpawner(guard...)
	t.Cleanup(s.Close)
	return s
}

func start(t *testing.T, s *proc.Spawner, log, script string) *proc.Process {
	t.Helper()
	p, err := s.Start(proc.Spec{Path: "/bin/sh", Args: []string{"-c", script}, Log: log, Foreign: true})
	require.NoError(t, err)
	t.Cleanup(func() { // before the spawner's
		_ = p.Signal(syscall.SIGKILL)
		<-p.Done()
	})
	return p
}

func TestEndAndTailOfAProcess(t *testing.T) {
	s, log := spawner(t), filepath.Join(t.TempDir(), "log")
	p := start(t, s, log, "echo one; echo two >&2; echo three; exit 3")
	require.Equal(t, "exit status 3", p.End())
	require.Equal(t, []string{"two", "three"}, p.Tail(2))
	require.Equal(t, []string{"one", "two", "three"}, p.Tail(10))

	again := start(t, s, log, "echo four")
	require.Equal(t, "exit status 0", again.End())
	require.Equal(t, []string{"four"}, again.Tail(10), "not what the process before it printed")
	all, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\nthree\nfour\n", string(all))
}

func TestTailOfALongLogBeginsWithAWholeLine(t *testing.T) {
	p := start(t, spawner(t), filepath.Join(t.TempDir(), "log"), "seq 1 20000")
	<-p.Done()
	lines := p.Tail(100000)
	require.Equal(t, "20000", lines[len(lines)-1])
	require.Len(t, lines[0], 5, "a line cut in two would be shorter")
	require.Less(t, len(lines), 5000)
}

func TestSilentProcessHasNoTail(t *testing.T) {
	p := start(t, spawner(t), filepath.Join(t.TempDir(), "log"), "exit 0")
	<-p.Done()
	require.Empty(t, p.Tail(5))
}

func TestSignalToADeadProcessIsDropped(t *testing.T) {
	p := start(t, spawner(t), filepath.Join(t.TempDir(), "log"), "exit 0")
	<-p.Done()
	require.NoError(t, p.Signal(syscall.SIGKILL))
}

func TestStartFailsWithItsReason(t *testing.T) {
	_, err := spawner(t).Start(proc.Spec{Path: "/none/such", Log: filepath.Join(t.TempDir(), "log")})
	require.ErrorIs(t, err, proc.ErrStart)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = spawner(t).Start(proc.Spec{Path: "/bin/sh", Log: "/none/such/log"})
	require.ErrorIs(t, err, proc.ErrStart)
}

func TestChildHasAProcessGroupOfItsOwn(t *testing.T) {
	p := start(t, spawner(t), filepath.Join(t.TempDir(), "log"), "exec sleep 60")
	group, err := syscall.Getpgid(p.PID())
	require.NoError(t, err)
	require.Equal(t, p.PID(), group, "else a Ctrl-C at the terminal would reach it")
}

func TestGuardedProgramEndsWithItsCode(t *testing.T) {
	s := spawner(t, link(t, "guard"))
	p := start(t, s, filepath.Join(t.TempDir(), "log"), "echo here; exit 7")
	require.Equal(t, "exit status 7", p.End())
	require.Equal(t, []string{"here", "guard: exit status 7"}, p.Tail(5))
}

func TestGuardWithoutAProgram(t *testing.T) {
	require.ErrorIs(t, proc.Guard(t.Context(), nil, nil, io.Discard, io.Discard), proc.ErrGuardUsage)
}

// A SIGKILL gives the parent no chance to end its child itself.
func TestChildDiesWithItsKilledParent(t *testing.T) {
	for _, tc := range []struct {
		name  string
		guard []string
	}{
		{"by the kernel or the default guard", proc.DefaultGuard()},
		{"by a guard", []string{link(t, "guard")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			pidFile := filepath.Join(dir, "pid")
			script := "echo $$ > " + pidFile + ".new; mv " + pidFile + ".new " + pidFile + "; exec sleep 60"
			cmd := exec.Command(link(t, "parent"), append([]string{script, filepath.Join(dir, "log")}, tc.guard...)...)
			require.NoError(t, cmd.Start())
			var pid int
			require.Eventually(t, func() bool {
				b, err := os.ReadFile(pidFile)
				if err == nil {
					_, err = fmt.Sscan(string(b), &pid)
				}
				return err == nil
			}, patience, 5*time.Millisecond)
			require.True(t, runs(pid), "control: it runs before")
			require.NoError(t, cmd.Process.Kill())
			require.Error(t, cmd.Wait())
			require.Eventually(t, func() bool { return !runs(pid) }, patience, 5*time.Millisecond)
		})
	}
}

// runs is false also for a dead process that nobody has reaped yet.
func runs(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	out, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}
