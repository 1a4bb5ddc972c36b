package browser_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/browser/phone"
	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// preferences without which Firefox finds no way to a pod on this machine: it takes no loopback address from an agent, and hides its own behind
// names that only a multicast resolver knows.
var preferences = map[string]any{
	"media.peerconnection.ice.loopback":                 true,
	"media.peerconnection.ice.obfuscate_host_addresses": false,
}

// TestACallFromFirefox is the same in the other browser: media both ways, a question, a move, a redial.
func TestACallFromFirefox(t *testing.T) {
	testreal.Binary(t, testreal.Firefox)
	r := stageOf(t, "handoff")
	f := browser.StartFirefox(t, preferences)
	f.Navigate(t, r.url)
	text := func(expression string) (out string) {
		t.Helper()
		f.Eval(t, expression, &out)
		return out
	}
	await := func(expression string) {
		t.Helper()
		deadline := time.After(after)
		for ok := false; !ok; {
			select {
			case <-deadline:
				t.Fatalf("not within %s: %s; the panel says\n%s", after, expression, text(`document.querySelector(".phone").innerText`))
			case <-time.After(50 * time.Millisecond):
				f.Eval(t, "Boolean("+expression+")", &ok)
			}
		}
	}
	lines := func(kind string) string { return phone.LinesOf(kind) + ".length" }

	await(phone.Ready)
	f.Eval(t, `(document.querySelector("#phone-source").value = "tone", document.querySelector(".phone-toggle").click())`, new(any))
	await(phone.OnTheCall)
	await(`Number(document.querySelector(".phone").dataset.received) > 100 && Number(document.querySelector(".phone").dataset.sent) > 100`)
	f.Eval(t, `document.querySelector(".phone form button").click()`, new(any))
	await(`/^(cold|warm)/.test(` + phone.FactOf("last answer") + `)`)
	var sounds bool
	f.Eval(t, `Promise.race([new AudioContext().resume().then(() => true), new Promise((r) => setTimeout(r, 2000, false))])`, &sounds)
	if sounds {
		await(phone.Heard)
	} else {
		t.Log("no sound card: Firefox sends silence for the tone, and the agent hears nothing to answer")
	}

	r.do(t, "rollout")
	await(lines("migrated") + " > 0")
	t.Log(text(phone.LinesOf("migrated") + "[0].textContent"))
	r.do(t, "kill="+text(phone.FactOf("pod")))
	await(lines("redialled") + " > 0")
	t.Log(text(phone.LinesOf("redialled") + "[0].textContent"))
	await(phone.OnTheCall)
	t.Log(text(fmt.Sprintf("`gap ${%s} lost ${%s} made up ${%s} jitter ${%s}`",
		phone.FactOf("gap, ms"), phone.FactOf("lost"), phone.FactOf("made up, ms"), phone.FactOf("jitter, ms"))))
}
