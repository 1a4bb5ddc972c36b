package compose_test

import (
	"context"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/browser/phone"
	"github.com/smaran-v2/smaran/loadtest/internal/stageclient"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// TestTheStageShowsTheProjectAndCallsIt brings the profile stage up as docs/compose.md has it, at its own ports, or those that the variables there
// name. Its crowd calls from a container, the browser from this machine.
func TestTheStageShowsTheProjectAndCallsIt(t *testing.T) {
	required(t)
	compose := func(args ...string) string {
		t.Helper()
		args = append([]string{"compose", "--project-name", project, "--file", composeFile, "--profile", "stage"}, args...)
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "docker", args...).CombinedOutput()
		require.NoError(t, err, string(out))
		return strings.TrimSpace(string(out))
	}
	b := browser.Start(t)
	t.Cleanup(func() {
		compose("down", "--volumes")
		left(t, project, 0)
	})
	compose("up", "--detach", "--no-build", "--wait")

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	stage := stageclient.Client{HTTP: &http.Client{Transport: transport}, Base: "http://" + compose("port", "stage", "7080")}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var lanes []*stagev1.Lane
	_, err := stage.Await(ctx, func(f *stagev1.Frame) (bool, error) {
		lanes = f.GetLanes()
		return len(f.GetPods()) == 3 && len(lanes) > 0 && lanes[0].GetMeters() != nil &&
			lanes[0].GetMeters().GetCallsUp() == lanes[0].GetLoad().GetCalls(), nil
	})
	require.NoError(t, err, lanes)

	p := phone.Open(t, b, stage.Base)
	p.Call(t, phone.Tone)
	p.Await(t, phone.Heard, "document.body.innerText")
	p.Screenshot(t, "compose")
}
