package cli_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/cli"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/services/run"
)

const childVariable = "CLI_TEST_CHILD"

// TestMain is also the program, in a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		run.Main(func(ctx context.Context, args, _ []string, stdout, stderr io.Writer) error {
			return cli.Run(ctx, args, stdout, stderr)
		})
	}
	goleak.VerifyTestMain(m)
}

// child is the program, to be started.
func child(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	return cmd
}

// try runs the program.
func try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := cli.Run(t.Context(), args, &stdout, &stderr)
	return stdout.String() + stderr.String(), err
}

func TestFlagErrorsSayWhatIsWanted(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no such command":    {[]string{"fly"}, "unexpected argument fly"},
		"no such flag":       {[]string{"run", "--speed", "3"}, "unknown flag --speed"},
		"backend":            {[]string{"run", "--backend", "coin"}, "want one of roundrobin, redis-plain"},
		"policy":             {[]string{"run", "--backend", "istio-hash:dice"}, "istio-hash:maglev"},
		"policy of another":  {[]string{"run", "--backend", "redis:maglev"}, "only istio-hash and handoff have policies"},
		"one of several":     {[]string{"run", "--backend", "redis,coin"}, "coin"},
		"no backend":         {[]string{"compare", "--backend", ""}, "usage: \"\" has an empty name"},
		"a backend less":     {[]string{"run", "--backend", "redis,"}, "usage: \"redis,\" has an empty name"},
		"backend twice":      {[]string{"compare", "--backend", "redis,app-hash,redis"}, "usage: redis is there twice"},
		"and in two flags":   {[]string{"demo", "--backend", "redis", "--backend", "redis"}, "usage: redis is there twice"},
		"no scenario":        {[]string{"compare", "--scenario", ""}, "usage: \"\" has an empty name"},
		"scenario twice":     {[]string{"compare", "--scenario", "kill,kill"}, "--scenario"},
		"calls":              {[]string{"run", "--calls", "0"}, "want at least 1"},
		"rate":               {[]string{"run", "--rate", "0"}, "want more than 0"},
		"call rate":          {[]string{"run", "--call-rate=-1"}, "want 0 or more"},
		"duration":           {[]string{"run", "--duration", "0s"}, "want more than 0s"},
		"no duration":        {[]string{"run", "--duration", "10"}, "duration"},
		"pods":               {[]string{"run", "--pods", "0"}, "want at least 1"},
		"repeat":             {[]string{"run", "--repeat", "0"}, "want at least 1"},
		"gap threshold":      {[]string{"run", "--gap-threshold", "0s"}, "want more than 0s"},
		"watchdog":           {[]string{"run", "--watchdog", "10ms"}, "two frames"},
		"event":              {[]string{"run", "--event", "5s:explode"}, "10s:scale=10"},
		"event past the end": {[]string{"run", "--duration", "5s", "--event", "5s:kill"}, "the run ends at 5s"},
		"threshold":          {[]string{"run", "--threshold", "dropped==0"}, "dropped_calls"},
		"on misroute":        {[]string{"run", "--on-misroute", "cry"}, "redial or stay"},
		"driver":             {[]string{"run", "--driver", "cloud"}, "local"},
		"mesh":               {[]string{"run", "--mesh", "linkerd"}, "envoy"},
		"fleet of compose":   {[]string{"run", "--driver", "compose", "--fleet", "bin/fleet"}, "--fleet is for --driver local"},
		"mesh of compose":    {[]string{"run", "--driver", "compose", "--mesh", "envoy"}, "--mesh is for --driver local"},
		"context of local":   {[]string{"compare", "--context", "kind-smaran"}, "--context is for --driver kubernetes"},
		"no context":         {[]string{"run", "--driver", "kubernetes"}, "--driver kubernetes needs --context"},
		"redis of a cluster": {[]string{"run", "--driver", "kubernetes", "--redis", "real"}, "--redis is for --driver local"},
		"project of local":   {[]string{"compare", "--project", "x"}, "--project is for --driver compose"},
		"a stage":            {[]string{"crowd", "--lane", "a"}, "--stage"},
		"a stage's URL":      {[]string{"crowd", "--lane", "a", "--stage", "127.0.0.1:8090"}, "want a URL such as http://127.0.0.1:8090"},
		"smaran's URL":       {[]string{"crowd", "--lane", "a", "--stage", "http://s", "--smaran", "smaran"}, "--smaran smaran: want a URL"},
		"a lane":             {[]string{"crowd", "--stage", "http://127.0.0.1:8090"}, "--lane"},
		"a crowd's watchdog": {[]string{"crowd", "--stage", "http://s", "--lane", "a", "--watchdog", "10ms"}, "two frames"},
		"scenario":           {[]string{"compare", "--scenario", "meteor"}, "redis-outage"},
		"baseline":           {[]string{"compare", "--baseline", "coin"}, "coin"},
		"demo's backend":     {[]string{"demo", "--backend", "coin"}, "coin"},
		"nothing to resume":  {[]string{"compare", "--resume", filepath.Join(os.TempDir(), "no-such-run")}, "was not begun by compare"},
	} {
		_, err := try(t, c.args...)
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	out, err := try(t)
	require.NoError(t, err)
	for _, command := range []string{"run", "compare", "demo", "predict", "claims", "report", "crowd"} {
		require.Contains(t, out, "\n  "+command+" ")
	}
	out, err = try(t, "run", "--help")
	require.NoError(t, err)
	for _, flag := range []string{
		"--driver", "--backend", "--calls", "--rate", "--duration", "--event", "--seed", "--json", "--html", "--threshold", "--warmup",
		"--gap-threshold", "--pods", "--repeat", "--call-rate", "--labels", "--on-misroute", "--mesh", "--redis", "--hgrm",
	} {
		require.Contains(t, out, flag)
	}
}

func TestFlagsKnownFromElsewhereWork(t *testing.T) {
	_, err := try(t, "run", "--vus", "0")
	require.ErrorContains(t, err, "--calls 0")
	_, err = try(t, "run", "--qps", "0")
	require.ErrorContains(t, err, "--rate 0")
	_, err = try(t, "compare", "--backends", "redis,none")
	require.ErrorContains(t, err, "--backend none")
}

func TestAMissingFleetIsSaid(t *testing.T) {
	_, err := try(t, "run", "--fleet", filepath.Join(t.TempDir(), "fleet"), "--out", t.TempDir())
	require.ErrorIs(t, err, driver.ErrNoFleetProgram)
}

func TestTheEnvironmentSetsFlags(t *testing.T) {
	t.Setenv("LOADTEST_CALLS", "0")
	_, err := try(t, "run")
	require.ErrorContains(t, err, "--calls 0")
}

func TestAMisspeltVariableIsRefused(t *testing.T) {
	t.Setenv("LOADTEST_CALS", "3")
	_, err := try(t, "run", "--calls", "0")
	require.ErrorContains(t, err, "LOADTEST_CALS")
}

// TestAFleetThatDoesNotStartFailsTheRun also shows that a report of nothing is not written.
func TestAFleetThatDoesNotStartFailsTheRun(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "fleet")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho no redis here >&2\nexit 1\n"), 0o755))
	out := filepath.Join(dir, "out")
	said, err := try(t, "run", "--fleet", program, "--out", out)
	require.ErrorIs(t, err, driver.ErrStart)
	require.ErrorContains(t, err, "no redis here")
	require.Contains(t, said, "[1/1] istio-hash, custom: failed")
	require.NoDirExists(t, out)
}

// TestACompareThatMeasuredNothingLeavesNoFolder has a fleet that does not start; what can't be connected to fails earlier yet.
func TestACompareThatMeasuredNothingLeavesNoFolder(t *testing.T) {
	program := filepath.Join(t.TempDir(), "fleet")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nexit 1\n"), 0o755))
	out := t.TempDir()
	_, err := try(t, "compare", "--fleet", program, "--out", out, "--backend", "redis", "--scenario", "steady", "--repeat", "1")
	require.ErrorIs(t, err, driver.ErrStart)
	left, err := filepath.Glob(filepath.Join(out, "compare-*"))
	require.NoError(t, err)
	require.Empty(t, left)

	_, err = try(t, "compare", "--fleet", filepath.Join(out, "nowhere"), "--out", filepath.Join(out, "other"))
	require.ErrorIs(t, err, driver.ErrNoFleetProgram)
	require.NoDirExists(t, filepath.Join(out, "other"))
}

func TestInterruptedBeforeTheFleetIsUp(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "fleet")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nexec cat <&3\n"), 0o755)) // until its lifeline is cut
	ctx, cancel := context.WithCancel(t.Context())
	var stdout bytes.Buffer
	said := &trigger{on: "starting the fleet", do: cancel}
	err := cli.Run(ctx, []string{"demo", "--fleet", program, "--out", filepath.Join(dir, "out")}, &stdout, said)
	var exit interface{ ExitCode() int }
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 130, exit.ExitCode())
	require.Empty(t, stdout.String())
}

// trigger does something once a text is written to it.
type trigger struct {
	bytes.Buffer
	on string
	do func()
}

func (w *trigger) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if bytes.Contains(w.Bytes(), []byte(w.on)) {
		w.do()
	}
	return n, err
}
