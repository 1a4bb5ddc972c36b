package compose_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/compose"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/loadtest/internal/plan"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// requiredVariable says that the test is meant to run: what it needs has to be there. Without it, `make test` goes past.
const requiredVariable = "E2E"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// required skips the test unless it was asked for.
func required(t *testing.T) {
	t.Helper()
	if os.Getenv(requiredVariable) == "" {
		t.Skip("SKIP-REASON: end to end, with images that have to be built: make e2e-compose")
	}
}

// newDriver steers a project of the test's own, beside whatever else runs.
func newDriver(project string) *compose.Driver {
	return compose.New(compose.Options{
		File: composeFile, Project: project, Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler),
	})
}

var composeFile = filepath.Join("..", "..", "..", "docker-compose.yaml")

const (
	project = "smaran-e2e"
	// calls are enough for some sessions to move, and some to stay.
	calls = 24
)

// run puts a backend under a small load and does things to it.
func run(t *testing.T, backend string, pods int, duration time.Duration, events ...string) *reportv1.Result {
	t.Helper()
	s := scenario.Scenario{Name: "e2e", Pods: pods, Duration: duration}
	for _, text := range events {
		e, err := scenario.ParseEvent(text)
		require.NoError(t, err)
		s.Events = append(s.Events, e)
	}
	api, err := peer.NewAPI(peer.APIOptions{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer api.Close()
	e := &engine.Engine{Driver: newDriver(project), Phones: engine.Pion{API: api}, Clock: clockwork.NewRealClock(), Log: slog.New(slog.DiscardHandler)}
	result, err := e.Run(t.Context(), engine.Spec{
		Backend: backend, Scenario: s, Repeat: 1,
		Behaviour: engine.Behaviour{OnMisroute: client.Redial, GapThreshold: 200 * time.Millisecond, Watchdog: 2 * time.Second},
		Load:      plan.Load{Calls: calls, Rate: 18, Warmup: 3 * time.Second, Seed: 1},
	})
	require.NoError(t, err)
	for _, why := range result.GetInvalidReasons() { // only a machine that is too busy to measure on may make it so
		require.Contains(t, why, "the generator")
	}
	for _, event := range result.GetEvents() {
		require.Empty(t, event.GetError(), event.GetName())
	}
	require.Positive(t, result.GetHistograms()["gap_ms"].GetCount(), "media came")
	left(t, project, 0)
	return result
}

// left makes sure of how many containers, networks and volumes of a project there are.
func left(t *testing.T, project string, want int) {
	t.Helper()
	var found []string
	for _, list := range [][]string{{"ps", "-a"}, {"network", "ls"}, {"volume", "ls"}} {
		list = append(list, "--quiet", "--filter", "label=com.docker.compose.project="+project)
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "docker", list...).Output()
		require.NoError(t, err)
		found = append(found, strings.Fields(string(out))...)
	}
	require.Len(t, found, want, "containers, networks and volumes of %s", project)
}

func status(t *testing.T, f driver.Fleet) *fleetv1.StatusResponse {
	t.Helper()
	s, err := f.Status(t.Context())
	require.NoError(t, err)
	return s
}
