package fleet_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/fleet"
)

func TestStageFlagsAreChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"open without a stage":          {[]string{"--open"}, "--open without --stage"},
		"beside without a stage":        {[]string{"--beside", "redis"}, "--beside without --stage"},
		"calls without a stage":         {[]string{"--stage-calls", "3"}, "--stage-calls without --stage"},
		"rate without a stage":          {[]string{"--stage-rate", "3"}, "--stage-rate without --stage"},
		"recording without a stage":     {[]string{"--record", "file"}, "--record without --stage"},
		"token without a stage":         {[]string{"--stage-token", "t"}, "--stage-token without --stage"},
		"no port":                       {[]string{"--stage", "127.0.0.1"}, "expected ip:port"},
		"every host without a token":    {[]string{"--stage", "0.0.0.0:0"}, "expected loopback, or a --stage-token"},
		"another host without a token":  {[]string{"--stage", "192.0.2.1:7080"}, "expected loopback, or a --stage-token"},
		"negative calls":                {[]string{"--stage", "127.0.0.1:0", "--stage-calls=-1"}, "expected 0 or more calls"},
		"no rate":                       {[]string{"--stage", "127.0.0.1:0", "--stage-rate", "0"}, "a rate above 0"},
		"a lane beside that can't work": {[]string{"--stage", "127.0.0.1:0", "--grace", "0", "--beside", "handoff"}, "the lane beside"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := command(t, environ(), append([]string{"up", "--bin-dir", newBinDir(t), "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0",
				"--dir", filepath.Join(t.TempDir(), "fleet")}, tc.args...)...)
			require.ErrorIs(t, err, fleet.ErrConfig)
			require.ErrorContains(t, err, tc.says)
		})
	}
	_, err := command(t, environ(), "up", "--stage", "127.0.0.1:0", "--beside", "sticky")
	require.ErrorContains(t, err, "use one of roundrobin")
}

// foreground runs `fleet up` with a stage in this process, until the test ends.
type foreground struct {
	lines  *bufio.Scanner
	stderr *syncBuffer
	// end ends it as a Ctrl-C does.
	end func() error
}

func inForeground(t *testing.T, bin string, environ []string, args ...string) *foreground {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	f := &foreground{lines: bufio.NewScanner(r), stderr: &syncBuffer{}}
	done := make(chan error, 1)
	go func() {
		done <- fleet.Run(ctx, append([]string{"up", "--stage", "127.0.0.1:0", "--pods", "1", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0",
			"--redis", "embedded", "--weights-mb", "1", "--bin-dir", bin, "--dir", filepath.Join(t.TempDir(), "fleet")}, args...), environ, w, f.stderr)
		_ = w.Close()
	}()
	f.end = func() error {
		cancel()
		_, _ = io.Copy(io.Discard, r)
		return <-done
	}
	return f
}

func (f *foreground) next(t *testing.T, prefix string) string {
	t.Helper()
	for f.lines.Scan() {
		if rest, found := strings.CutPrefix(f.lines.Text(), prefix); found {
			return rest
		}
	}
	require.Failf(t, "no such line", "%s; %s", prefix, f.stderr)
	return ""
}

func page(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body)
}

func TestThePageIsUpAndOpenBeforeTheFleet(t *testing.T) {
	bin := newBinDir(t)
	misbehave(t, bin, "mesh", deaf, "")
	opened := filepath.Join(t.TempDir(), "opened")
	browser := filepath.Join(t.TempDir(), "browser")
	require.NoError(t, os.WriteFile(browser, []byte("#!/bin/sh\necho \"$1\" >'"+opened+".new' && mv '"+opened+".new' '"+opened+"'\n"), 0o700))
	f := inForeground(t, bin, append(environ(), "BROWSER="+browser), "--open", "--stage-token", "let-me")
	url := f.next(t, "the page: ")
	require.True(t, strings.HasSuffix(url, "/#token=let-me"), url)
	require.Contains(t, page(t, url), "<html")
	eventually(t, func() bool { got, err := os.ReadFile(opened); return err == nil && string(got) == url+"\n" }, "a browser with the page")
	require.NoError(t, f.end())
}

func TestWithoutABrowserThePageIsNamed(t *testing.T) {
	f := inForeground(t, newBinDir(t), []string{"PATH=/nonexistent"}, "--open")
	url := f.next(t, "the page: ")
	f.next(t, "Ctrl-C ends it all")
	require.Contains(t, f.stderr.String(), "no browser to open here")
	require.Contains(t, f.stderr.String(), "open "+url+" yourself")
	require.NoError(t, f.end())
}

func TestTheShowIsRecorded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "show.jsonl")
	f := inForeground(t, newBinDir(t), environ(), "--record", file, "--stage-token", "let-me")
	f.next(t, "Ctrl-C ends it all")
	require.NoError(t, f.end())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Regexp(t, `^\{.*"command":"bin/fleet up .*--stage-token TOKEN"`, string(text), "and no secret")
	require.Contains(t, string(text), `"whole":true`)

	_, err = command(t, environ(), "up", "--stage", "127.0.0.1:0", "--record", file, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0",
		"--bin-dir", newBinDir(t), "--dir", filepath.Join(t.TempDir(), "fleet"))
	require.ErrorContains(t, err, "file exists", "an earlier show is not written over")
}

func TestLanesOfOneCommand(t *testing.T) {
	p := up(t, "--stage", "127.0.0.1:0", "--beside", "roundrobin")
	require.Contains(t, page(t, "http://"+processNamed(p.status, "stage").GetAddress()), "<html")
	control := processNamed(p.status, "fleet-b").GetAddress()
	beside := func() *fleetv1.StatusResponse {
		out, err := command(t, nil, "ps", "--json", "--control", control)
		require.NoError(t, err)
		s := &fleetv1.StatusResponse{}
		require.NoError(t, protojson.Unmarshal([]byte(out), s))
		return s
	}
	require.Equal(t, "roundrobin", beside().GetBackend())
	_, err := command(t, nil, "scale", "3", "--control", control)
	require.NoError(t, err)
	require.Len(t, beside().GetPods(), 3)
	require.Regexp(t, `(?m)^ *crowd +go +running `, p.verb(t, "ps"))
	all := pids(beside())
	require.Len(t, all, 6) // three pods, smaran, mesh, crowd

	require.Equal(t, "the fleet is down\n", p.verb(t, "down"))
	p.ends(t)
	for _, pid := range all {
		require.False(t, alive(t, pid), pid)
	}
}

func TestNothingOfAnyLaneOutlivesAKilledFleet(t *testing.T) {
	p := up(t, "--stage", "127.0.0.1:0", "--beside", "roundrobin")
	out, err := command(t, nil, "ps", "--json", "--control", processNamed(p.status, "fleet-b").GetAddress())
	require.NoError(t, err)
	beside := &fleetv1.StatusResponse{}
	require.NoError(t, protojson.Unmarshal(bytes.TrimSpace([]byte(out)), beside))
	all := append(pids(p.status), pids(beside)...)
	require.Len(t, all, 10) // two pods, smaran, mesh, crowd
	require.NoError(t, p.cmd.Process.Kill())
	require.Error(t, <-p.exited)
	for _, pid := range all {
		eventually(t, func() bool { return !alive(t, pid) }, "process %d outlives the fleet", pid)
	}
}
