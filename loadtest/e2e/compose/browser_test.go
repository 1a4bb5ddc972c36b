package compose_test

import (
	"context"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// TestTheStageShowsTheProjectAndCallsIt brings the profile stage up as docs/compose.md has it, at its own ports. Its crowd calls from a container, the
// browser from this machine.
func TestTheStageShowsTheProjectAndCallsIt(t *testing.T) {
	required(t)
	compose := func(args ...string) {
		t.Helper()
		args = append([]string{"compose", "--project-name", project, "--file", composeFile, "--profile", "stage"}, args...)
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "docker", args...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	b := browser.Start(t)
	t.Cleanup(func() {
		compose("down", "--volumes")
		left(t, project, 0)
	})
	compose("up", "--detach", "--no-build", "--wait")

	b.Do(t, chromedp.Navigate("http://127.0.0.1:7080"))
	const state = `fetch("/api/v1/state").then((r) => r.json())`
	b.Await(t, state+`.then((f) => f.pods.length === 3 && f.lanes[0].meters?.callsUp === f.lanes[0].load.calls)`, state+".then((f) => JSON.stringify(f.lanes))")
	b.Do(t, chromedp.Click(chromedp.ID("call-toggle")))
	b.Await(t, `document.querySelector("#phone-lane option") !== null`, "document.body.innerText")
	b.Do(t, chromedp.SetValue(chromedp.ID("phone-source"), "tone"), chromedp.Click(chromedp.CSS(".phone-toggle")))
	// The agent has heard an utterance, and answers in words.
	b.Await(t, `document.querySelector(".phone section:last-of-type li")?.textContent.includes("heard")`, "document.body.innerText")
	b.Screenshot(t, "compose")
}
