package driver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
)

// childVariable makes this test's binary a fleet, of the kind that it names.
const childVariable = "DRIVER_TEST_CHILD"

func TestMain(m *testing.M) {
	if kind := os.Getenv(childVariable); kind != "" {
		os.Exit(child(kind))
	}
	goleak.VerifyTestMain(m)
}

// child is a fleet that keeps the driver's side of the bargain, or does not.
func child(kind string) int {
	lifeline := os.NewFile(3, "lifeline")
	switch kind {
	case "refuses":
		fmt.Fprintln(os.Stderr, "fleet: no redis-server: install one or take --redis embedded")
		return 1
	case "babbles":
		fmt.Println("hello")
		return 0
	case "slow":
		_, _ = io.Copy(io.Discard, lifeline)
		return 0
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	f := &control{ended: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle(fleetv1connect.NewFleetServiceHandler(f))
	go http.Serve(listener, mux) //nolint:errcheck // it ends with the process
	line, _ := protojson.Marshal(&fleetv1.StatusResponse{
		Processes: []*fleetv1.Process{{Name: "smaran"}, {Name: "fleet", Address: listener.Addr().String()}},
	})
	fmt.Println(string(line))
	if kind == "dies" {
		fmt.Fprintln(os.Stderr, "fleet: the mesh died")
		return 3
	}
	cut := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		close(cut)
	}()
	select {
	case <-cut:
	case <-f.ended:
		if kind == "deaf" {
			<-cut
		}
	}
	return 0
}

type control struct {
	fleetv1connect.UnimplementedFleetServiceHandler
	ended chan struct{}
}

func (c *control) Down(context.Context, *connect.Request[fleetv1.DownRequest]) (*connect.Response[fleetv1.DownResponse], error) {
	close(c.ended)
	return connect.NewResponse(&fleetv1.DownResponse{}), nil
}

func (c *control) Status(context.Context, *connect.Request[fleetv1.StatusRequest]) (*connect.Response[fleetv1.StatusResponse], error) {
	return connect.NewResponse(&fleetv1.StatusResponse{SmaranUrl: "http://smaran"}), nil
}

func local(t *testing.T, kind string) *driver.Local {
	t.Helper()
	t.Setenv(childVariable, kind)
	self, err := os.Executable()
	require.NoError(t, err)
	return &driver.Local{Program: self, Dir: t.TempDir()}
}

func TestAFleetComesUpAndGoesDown(t *testing.T) {
	for _, kind := range []string{"good", "deaf"} {
		f, err := local(t, kind).Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 3})
		require.NoError(t, err)
		s, err := f.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, "http://smaran", s.GetSmaranUrl())
		require.NoError(t, f.Down(t.Context()), "a fleet that does not end when asked ends with its lifeline")
		require.NoError(t, f.Down(t.Context()), "again")
		select {
		case <-f.Died():
			require.Fail(t, "it was asked to end")
		default:
			require.NoError(t, f.Err())
		}
	}
}

func TestAFleetThatDoesNotStartSaysWhy(t *testing.T) {
	_, err := local(t, "refuses").Up(t.Context(), driver.Spec{Backend: "redis", Pods: 3})
	require.ErrorIs(t, err, driver.ErrStart)
	require.ErrorContains(t, err, "install one or take --redis embedded")

	_, err = local(t, "babbles").Up(t.Context(), driver.Spec{Backend: "redis", Pods: 3})
	require.ErrorIs(t, err, driver.ErrStart)
}

func TestAnImpatientStartLeavesNothingBehind(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := local(t, "slow").Up(ctx, driver.Spec{Backend: "redis", Pods: 3})
	require.ErrorIs(t, err, driver.ErrStart)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestAFleetThatDiesIsSeen(t *testing.T) {
	f, err := local(t, "dies").Up(t.Context(), driver.Spec{Backend: "istio-hash", Pods: 3})
	require.NoError(t, err)
	select {
	case <-f.Died():
	case <-time.After(10 * time.Second):
		require.Fail(t, "nobody saw it")
	}
	require.ErrorIs(t, f.Err(), driver.ErrDied)
	require.ErrorContains(t, f.Err(), "the mesh died")
	require.NoError(t, f.Down(t.Context()))
}

func TestTheSpecBecomesTheCommandLine(t *testing.T) {
	for name, c := range map[string]struct {
		spec driver.Spec
		want string
		not  []string
	}{
		"plain": {
			driver.Spec{Backend: "redis", Pods: 10, Seed: 7},
			"up --json --pods 10 --backend redis --seed 7 --listen 127.0.0.1:0 --control 127.0.0.1:0",
			[]string{"--policy", "--mesh", "--redis", "--session-mode"},
		},
		"all": {
			driver.Spec{Backend: "istio-hash:maglev", Pods: 3, Mesh: "envoy", Redis: "real", Lenient: true},
			"--backend istio-hash --seed 0",
			nil,
		},
	} {
		var args []string
		require.NoError(t, json.Unmarshal([]byte(commandLine(t, c.spec)), &args), name)
		require.Contains(t, strings.Join(args, " "), c.want)
		require.Contains(t, strings.Join(args, " "), "--grace "+driver.DrainTimeout.String(), name)
		for _, flag := range c.not {
			require.NotContains(t, args, flag, name)
		}
		if name == "all" {
			for flag, value := range map[string]string{"--policy": "maglev", "--mesh": "envoy", "--redis": "real", "--session-mode": "lenient"} {
				i := slices.Index(args, flag)
				require.NotEqual(t, -1, i, flag)
				require.Equal(t, value, args[i+1])
			}
		}
	}
}

func TestAFleetsControlIsWhereOthersLookForIt(t *testing.T) {
	require.Contains(t, startedAs(t, driver.Local{Control: "127.0.0.1:7070"}, driver.Spec{}), `"--control","127.0.0.1:7070"`)
}

// commandLine is startedAs of a driver without options.
func commandLine(t *testing.T, s driver.Spec) string {
	t.Helper()
	return startedAs(t, driver.Local{}, s)
}

// startedAs is what the fleet was started with, as a JSON list: its program is a script that writes that down.
func startedAs(t *testing.T, l driver.Local, s driver.Spec) string {
	t.Helper()
	kept := filepath.Join(t.TempDir(), "args")
	script := filepath.Join(t.TempDir(), "fleet")
	require.NoError(t, os.WriteFile(script, []byte(`#!/bin/sh
{ printf '['; for a in "$@"; do printf '%s"%s"' "$sep" "$a"; sep=,; done; printf ']'; } > `+kept+`
exit 1
`), 0o755))
	l.Program, l.Dir = script, "out/fleet"
	_, err := l.Up(t.Context(), s)
	require.ErrorIs(t, err, driver.ErrStart)
	raw, err := os.ReadFile(kept)
	require.NoError(t, err)
	return string(raw)
}

func TestFindProgram(t *testing.T) {
	_, err := driver.FindProgram(filepath.Join(t.TempDir(), "fleet"))
	require.ErrorIs(t, err, driver.ErrNoFleetProgram)
	require.ErrorContains(t, err, "make build", "says what to do")

	self, err := os.Executable()
	require.NoError(t, err)
	found, err := driver.FindProgram(self)
	require.NoError(t, err)
	require.Equal(t, self, found)
}
