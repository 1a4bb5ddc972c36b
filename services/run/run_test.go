package run_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/run"
)

const childVariable = "RUN_TEST_CHILD"

type exit3 struct{ error }

func (exit3) ExitCode() int { return 3 }

// programs are what a child process may be told to run.
var programs = map[string]run.Func{
	"ok": func(context.Context, []string, []string, io.Writer, io.Writer) error { return nil },
	"fail": func(context.Context, []string, []string, io.Writer, io.Writer) error {
		return errors.New("no such pod")
	},
	"code": func(context.Context, []string, []string, io.Writer, io.Writer) error {
		return fmt.Errorf("run: %w", exit3{errors.New("threshold failed")})
	},
	"wait": func(ctx context.Context, _, _ []string, stdout, _ io.Writer) error {
		fmt.Fprintln(stdout, "ready")
		<-ctx.Done()
		return nil
	},
	"talk": func(_ context.Context, _, _ []string, stdout, stderr io.Writer) error {
		for {
			if _, err := fmt.Fprintln(stdout, "still here"); err != nil {
				fmt.Fprintln(stderr, "cleaned up")
				return nil
			}
		}
	},
	"deaf": func(ctx context.Context, _, _ []string, stdout, _ io.Writer) error {
		fmt.Fprintln(stdout, "ready")
		<-ctx.Done()
		fmt.Fprintln(stdout, "still here")
		select {}
	},
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		run.Main(programs[name])
	}
	os.Exit(m.Run())
}

func child(t *testing.T, name string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	return cmd
}

func TestExitCodes(t *testing.T) {
	for name, want := range map[string]int{"ok": 0, "fail": 1, "code": 3} {
		out, err := child(t, name).CombinedOutput()
		var exit *exec.ExitError
		if want == 0 {
			require.NoError(t, err)
			require.Empty(t, out)
			continue
		}
		require.ErrorAs(t, err, &exit)
		require.Equal(t, want, exit.ExitCode())
		require.Regexp(t, `\A[^\n]+\n\z`, string(out), "one line")
	}
}

func TestAReaderThatWentAwayDoesNotEndTheProcess(t *testing.T) {
	cmd := child(t, "talk")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	require.NoError(t, stdout.Close())
	require.NoError(t, cmd.Wait())
	require.Equal(t, "cleaned up\n", stderr.String())
}

func TestTheFirstSignalEndsTheContextTheSecondTheProcess(t *testing.T) {
	for _, name := range []string{"wait", "deaf"} {
		cmd := child(t, name)
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(stdout)
		require.True(t, lines.Scan())
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		if name == "deaf" {
			require.True(t, lines.Scan())
			require.Equal(t, "still here", lines.Text())
			// The program may have said so a moment before the default action was back, so a signal is repeated until it
			// counts.
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			require.Eventually(t, func() bool {
				_ = cmd.Process.Signal(syscall.SIGTERM)
				select {
				case err := <-ended:
					return err != nil
				default:
					return false
				}
			}, 10*time.Second, 10*time.Millisecond)
			require.Equal(t, syscall.SIGTERM, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
			continue
		}
		require.NoError(t, cmd.Wait())
	}
}
