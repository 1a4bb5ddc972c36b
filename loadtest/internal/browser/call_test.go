package browser_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/browser/phone"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// gapAllowed, in milliseconds, is what package tally counts as an interruption: far above what is measured on an idle machine
// (docs/results/browser.md), for one that is not.
const gapAllowed = 200

// What Chromium logs: of a request that found its pod, or smaran, gone; and of a candidate that came to the pod that a call had left.
var (
	gone = regexp.MustCompile(`responded with a status of 50[234] .*/smaran/a/v1/calls`)
	late = regexp.MustCompile(`responded with a status of (409|412) .*/smaran/a/v1/calls/[^/]+$`)
)

func TestACallHasSoundBothWays(t *testing.T) {
	r := open(t, "istio-hash")
	r.Call(t, phone.Microphone)
	require.Contains(t, r.Text(t, ".phone-state"), "microphone")
	require.Equal(t, "istio-hash", r.Fact(t, "backend"))
	r.pod(t)
	r.HangUp(t)
	require.Eventually(t, func() bool { return r.calls(t) == 0 }, after, 50*time.Millisecond, "the pod was told")

	r.Call(t, phone.Tone)
	// The agent has heard an utterance, and answers in sound and in words.
	r.Await(t, phone.Heard, "document.body.innerText")
	r.Await(t, `media().then((m) => m.heardEnergy > 0.001)`, "media().then(JSON.stringify)")
	before := r.media(t)
	require.Equal(t, "audio/PCMU", before.Codec)
	require.Positive(t, before.SentEnergy)
	r.Await(t, `media().then((m) => m.sent > 250 && m.received > 250)`, "")
	require.Equal(t, 1, r.media(t).Open)
	require.Equal(t, "0", r.Fact(t, "lost"))

	require.Regexp(t, `^warm, \d+ ms, jarvis-\d$`, r.Ask(t))
	require.Equal(t, r.Fact(t, "turn"), "2")
	r.Screenshot(t, "call")
	r.RequireQuiet(t, late)
}

func TestWithoutAMicrophoneThereIsATone(t *testing.T) {
	r := open(t, "istio-hash", browser.MicrophoneDenied())
	r.Call(t, phone.Microphone)
	require.Equal(t, "the microphone was refused: the agent hears a test tone",
		r.Text(t, ".phone-notice"))
	r.Await(t, phone.Heard, "document.body.innerText")
	r.RequireQuiet(t, late)
}

func TestUnderHandoffACallMoves(t *testing.T) {
	r := open(t, "handoff")
	r.callAndScaleOut(t, 1)
	before := 0
	for _, event := range []func(){
		func() {}, // the scaling
		func() { r.do(t, "rollout") },
		func() { r.do(t, "stop="+r.pod(t)) },
	} {
		event()
		r.Happened(t, "migrated", before+1)
		r.Settle(t)
		all := r.Entries(t, "migrated")
		for _, moved := range all[before:] {
			t.Log(moved.Text)
			require.Less(t, moved.Ms(t, moved.Gap), float64(gapAllowed))
		}
		before = len(all)
		require.Regexp(t, "^warm", r.Ask(t), "the conversation is there")
	}
	require.Zero(t, r.Times(t, "redialled"))
	require.Zero(t, r.Times(t, "misrouted"))
	require.Equal(t, 1, r.media(t).Open, "the earlier connections are closed")
	r.RequireQuiet(t, late)
}

// TestUnderAHashACallIsMisroutedAndRedialled is the negative control.
func TestUnderAHashACallIsMisroutedAndRedialled(t *testing.T) {
	r := open(t, "istio-hash")
	from := r.callAndScaleOut(t, 2)
	require.Regexp(t, "^warm", r.Fact(t, "last answer"))
	require.Zero(t, r.Times(t, "redialled"), "until the next request the call stays")
	require.Regexp(t, "^cold.*, the conversation was lost$", r.Ask(t))
	misrouted := r.Happened(t, "misrouted", 1)
	require.Equal(t, from, misrouted.From)
	redialled := r.Happened(t, "redialled", 1)
	t.Log(redialled.Text)
	require.Equal(t, misrouted.To, redialled.To)
	require.Zero(t, r.Times(t, "migrated"))
	require.Equal(t, redialled.To, r.pod(t))
	r.RequireQuiet(t, late)
}

func TestACallIsRedialledWhenItsPodDies(t *testing.T) {
	r := open(t, "redis") // which asks the pod that the call is redialled to
	r.Call(t, phone.Tone)
	r.Ask(t)
	r.Ask(t)
	_ = browser.Eval[bool](t, r.Browser, `window.sameDocument = true`)
	from := r.pod(t)
	r.do(t, "kill="+from)
	redialled := r.Happened(t, "redialled", 1)
	t.Log(redialled.Text)
	require.Equal(t, "lost", redialled.Why)
	require.NotEqual(t, from, redialled.To)
	require.True(t, browser.Eval[bool](t, r.Browser, `window.sameDocument`))

	r.Ask(t)
	t.Log(r.Happened(t, "lost", 1).Text)

	// A frozen pod says nothing: silence does.
	from = r.pod(t)
	r.do(t, "freeze="+from)
	redialled = r.Happened(t, "redialled", 2)
	t.Log(redialled.Text)
	require.Equal(t, "no media", redialled.Why)
	require.NotEqual(t, from, redialled.To)
	r.AwaitCall(t)
	r.RequireQuiet(t, browser.BrokenStream, gone, late)
}

func TestSmaranDiesAndMediaGoesOn(t *testing.T) {
	r := open(t, "istio-hash")
	r.Call(t, phone.Tone)
	r.do(t, "smaran=kill")
	r.Happened(t, "reconnected", 1)
	require.Zero(t, r.Times(t, "redialled"))
	r.RequireQuiet(t, browser.BrokenStream, gone, late)
}

func TestAReloadHangsUp(t *testing.T) {
	r := open(t, "handoff")
	r.Call(t, phone.Tone)
	require.Equal(t, 1, r.calls(t))
	r.Reload(t)
	require.Eventually(t, func() bool { return r.calls(t) == 0 }, after, 50*time.Millisecond, "the pod was told")
	r.Call(t, phone.Tone)
	require.Equal(t, 1, r.calls(t))
	r.RequireQuiet(t, late)
}
