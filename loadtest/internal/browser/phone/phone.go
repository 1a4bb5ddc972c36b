package phone

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/smaran-v2/smaran/services/testreal/browser"
	"github.com/smaran-v2/smaran/services/wire"
)

// Expressions that are true in the page, for a browser that this package does not drive too.
const (
	// Ready: there is a lane to call.
	Ready = `document.querySelector("#phone-lane option") !== null`
	// OnTheCall: the call is up.
	OnTheCall = `document.querySelector(".phone").dataset.state === "on the call"`
	// Heard: the agent has heard an utterance, and answers in words.
	Heard = `document.querySelector(".phone section:last-of-type li")?.textContent.includes("heard")`
)

// FactOf is the expression of what the panel says of one thing, such as "pod" or "last answer".
func FactOf(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".phone-fact")].find((f) => f.firstChild.textContent === %q).lastChild.textContent`, name)
}

// Sources of sound.
const (
	Microphone = "microphone"
	// Tone needs no microphone.
	Tone = "tone"
)

// patience is how long something may take to happen to a call, unless a phone is given another.
const patience = 30 * time.Second

// said is the expression of what a test that waits in vain shows.
const said = "document.body.innerText"

// spy keeps the page's peer connections, so that tests can ask them.
const spy = `window.connections = [];
window.connected = () => connections.filter((c) => c.connectionState === "connected");
window.RTCPeerConnection = class extends RTCPeerConnection {
	constructor(...args) { super(...args); connections.push(this); }
};`

// Phone is the panel in a browser.
type Phone struct {
	*browser.Browser
	// Patience is how long something may take to happen to a call.
	Patience time.Duration
	// asked counts questions, as one that was put before may be answered from the session's cache.
	asked int
}

// Open shows the stage's page at a URL, and the panel. Scripts run before those of the page, each time that it is loaded; connected() gives
// them its peer connections that are up, oldest first.
func Open(t testing.TB, b *browser.Browser, url string, scripts ...string) *Phone {
	t.Helper()
	p := &Phone{Browser: b, Patience: patience}
	for _, script := range append([]string{spy}, scripts...) {
		p.Prepare(t, script)
	}
	p.Do(t, chromedp.Navigate(url))
	p.show(t)
	return p
}

// Prepare has a script run before those of the page, from its next loading on.
func (p *Phone) Prepare(t testing.TB, script string) {
	t.Helper()
	params := page.AddScriptToEvaluateOnNewDocumentParams{Source: script}
	if _, err := chromedp.Call(p.Context, page.AddScriptToEvaluateOnNewDocument, params); err != nil {
		t.Fatal(err)
	}
}

// Reload loads the page anew, and shows the panel.
func (p *Phone) Reload(t testing.TB) {
	t.Helper()
	p.Do(t, chromedp.Reload())
	p.show(t)
}

// show shows the panel, where the page is too narrow to do so by itself.
func (p *Phone) show(t testing.TB) {
	t.Helper()
	p.Await(t, Ready, said)
	p.Do(t, chromedp.Click(chromedp.ID("call-toggle")))
}

// Call calls the agent with a source of sound, and waits until it is heard. It gives what the panel says of that.
func (p *Phone) Call(t testing.TB, source string) Entry {
	t.Helper()
	p.Do(t, chromedp.SetValue(chromedp.ID("phone-source"), source), chromedp.Click(chromedp.CSS(".phone-toggle")))
	p.AwaitCall(t)
	return p.Happened(t, "called", 1)
}

// AwaitCall waits until the call is up.
func (p *Phone) AwaitCall(t testing.TB) {
	t.Helper()
	p.Await(t, OnTheCall, said)
}

// HangUp ends the call.
func (p *Phone) HangUp(t testing.TB) {
	t.Helper()
	p.Do(t, chromedp.Click(chromedp.CSS(".phone-toggle")))
	p.Await(t, `document.querySelector(".phone").dataset.state === "ended"`, said)
}

// Settle waits until nothing has happened to the call for longer than its caller may be told to move after a change.
func (p *Phone) Settle(t testing.TB) {
	t.Helper()
	p.Await(t, fmt.Sprintf(`%s && Date.now() - Date.parse(document.querySelector(".phone-history time").dateTime) > %d`,
		OnTheCall, (wire.MigrateWithin+time.Second).Milliseconds()), said, p.Patience)
}

// Ask asks something new in words, and gives the answer as it is shown.
func (p *Phone) Ask(t testing.TB) string {
	t.Helper()
	p.asked++
	question := fmt.Sprintf("Question %d", p.asked)
	p.Do(t, chromedp.SetValue(chromedp.ID("phone-question"), question), chromedp.Click(chromedp.CSS(".phone form button")))
	p.Await(t, FactOf("last answer")+` !== "asked"`, FactOf("last answer"))
	return p.Fact(t, "last answer")
}

// Fact is what the panel says of one thing.
func (p *Phone) Fact(t testing.TB, name string) string {
	t.Helper()
	return browser.Eval[string](t, p.Browser, FactOf(name))
}

// Session is the call's.
func (p *Phone) Session(t testing.TB) string {
	t.Helper()
	return browser.Eval[string](t, p.Browser, `document.querySelector(".phone").dataset.session`)
}

// Text is that of the first element of the panel that a selector finds, such as ".phone-notice".
func (p *Phone) Text(t testing.TB, selector string) string {
	t.Helper()
	return browser.Eval[string](t, p.Browser, fmt.Sprintf("document.querySelector(%q).textContent", selector))
}
