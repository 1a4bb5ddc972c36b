package predict_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/predict"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/session"
)

var update = flag.Bool("update", false, "write the golden files anew")

// run parses args as the command line does, and runs the command.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var cli struct {
		Predict predict.Cmd `cmd:""`
	}
	parser, err := kong.New(&cli, kong.Name("loadtest"))
	require.NoError(t, err)
	_, err = parser.Parse(append([]string{"predict"}, args...))
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = cli.Predict.Run(&out)
	return out.String(), err
}

// TestGolden compares whole outputs. The picks of the ring and of Maglev in them are those that a running Envoy agrees with, for
// the golden vectors of services/affinity cover their first sessions.
func TestGolden(t *testing.T) {
	input := []string{"--hosts", "testdata/three.txt", "--to", "testdata/five.txt", "--sessions", "testdata/sessions.txt"}
	for _, policy := range affinity.Policies() {
		for kind, flags := range map[string][]string{"txt": nil, "json": {"--json"}} {
			t.Run(string(policy)+"."+kind, func(t *testing.T) {
				out, err := run(t, append(append([]string{"--policy", string(policy)}, input...), flags...)...)
				require.NoError(t, err)
				golden := filepath.Join("testdata", string(policy)+".golden."+kind)
				if *update {
					require.NoError(t, os.WriteFile(golden, []byte(out), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, string(want), out)
			})
		}
	}
}

func TestJSONHasExactlyTheDocumentedFields(t *testing.T) {
	out, err := run(t, "--hosts", "testdata/three.txt", "--sessions", "testdata/sessions.txt", "--json")
	require.NoError(t, err)
	var body map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &body))
	require.Len(t, body, 3)
	require.EqualValues(t, 21, body["total"])
	require.EqualValues(t, 0, body["moved"], "without --to nothing moves")
	picks := body["picks"].([]any)
	require.Len(t, picks, 21)
	require.Equal(t, map[string]any{"session": "session-1", "from": "10.0.0.2:8080", "to": "10.0.0.2:8080"}, picks[0])
}

func TestRingSizeChangesTheRingOnly(t *testing.T) {
	for _, policy := range affinity.Policies() {
		args := []string{"--policy", string(policy), "--hosts", "testdata/three.txt", "--sessions", "testdata/sessions.txt", "--json"}
		plain, err := run(t, args...)
		require.NoError(t, err)
		sized, err := run(t, append(args, "--ring-size", "9")...)
		require.NoError(t, err)
		require.Equal(t, policy != affinity.PolicyRing, plain == sized, policy)
	}
}

func TestNoSessionsIsAnEmptyPrediction(t *testing.T) {
	empty := file(t, "# none\n\n")
	out, err := run(t, "--hosts", "testdata/three.txt", "--sessions", empty, "--json")
	require.NoError(t, err)
	require.Equal(t, `{"total":0,"moved":0,"picks":[]}`+"\n", out)
	_, err = run(t, "--hosts", "testdata/three.txt", "--sessions", empty)
	require.NoError(t, err)
}

func TestInputErrorsNameTheLine(t *testing.T) {
	const hosts, sessions = "testdata/three.txt", "testdata/sessions.txt"
	cases := []struct {
		name, content string
		asSessions    bool
		want          error
		line          string
		text          string
	}{
		{"no port", "10.0.0.1:1\n\n10.0.0.2\n", false, predict.ErrHost, ":3", "expected ip:port"},
		{"port zero", "10.0.0.1:0", false, predict.ErrHost, ":1", "1 to 65535"},
		{"a name", "# pods\njarvis-0:8080\n", false, predict.ErrHost, ":2", `received "jarvis-0:8080"`},
		{"IPv6 without brackets", "::1:8080", false, predict.ErrHost, ":1", "[2001:db8::1]:8080"},
		{"two on a line", "10.0.0.1:1 10.0.0.2:1", false, predict.ErrHost, ":1", "expected ip:port"},
		{"twice", "10.0.0.1:1\n[::1]:1\n[0::1]:1\n", false, predict.ErrDuplicate, ":3", "it is on line 2 too"},
		{"nothing", "# all gone\n", false, predict.ErrNoHosts, ": ", "at least one"},
		{"blank in a session", "ok\nnot ok\n", true, session.ErrMalformed, ":2", "not ok"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bad := file(t, c.content)
			args := []string{"--hosts", bad, "--sessions", sessions}
			if c.asSessions {
				args = []string{"--hosts", hosts, "--sessions", bad}
			}
			out, err := run(t, args...)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, bad+c.line)
			require.ErrorContains(t, err, c.text)
			require.Empty(t, out)
		})
	}
	t.Run("in --to", func(t *testing.T) {
		_, err := run(t, "--hosts", hosts, "--to", file(t, "x"), "--sessions", sessions)
		require.ErrorIs(t, err, predict.ErrHost)
	})
	t.Run("no file", func(t *testing.T) {
		_, err := run(t, "--hosts", filepath.Join(t.TempDir(), "none"), "--sessions", sessions)
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

func TestFlagErrors(t *testing.T) {
	_, err := run(t, "--policy", "random", "--hosts", "testdata/three.txt", "--sessions", "testdata/sessions.txt")
	require.ErrorContains(t, err, "use one of ring, maglev, rendezvous, modulo")
	_, err = run(t, "--sessions", "testdata/sessions.txt")
	require.ErrorContains(t, err, "--hosts")
	_, err = run(t, "--hosts", "testdata/three.txt", "--sessions", "testdata/sessions.txt", "--ring-size", "99999999")
	require.ErrorIs(t, err, affinity.ErrOptions)
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "input.txt")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
