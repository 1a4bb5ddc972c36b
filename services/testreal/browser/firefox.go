package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/smaran-v2/smaran/services/testreal"
)

// Firefox is a running Firefox with one page. It is driven by a little of WebDriver BiDi: what a page does there is asked for in JavaScript.
type Firefox struct {
	conn   *websocket.Conn
	window string
	asked  int
}

// preferences of a Firefox that tests drive: a fake microphone that nobody is asked about, sound without a gesture, and no calls of its own.
var preferences = map[string]any{
	"media.navigator.streams.fake":                    true,
	"media.navigator.permission.disabled":             true,
	"media.autoplay.default":                          0,
	"media.autoplay.blocking_policy":                  0,
	"datareporting.policy.dataSubmissionEnabled":      false,
	"app.update.disabledForTesting":                   true,
	"browser.shell.checkDefaultBrowser":               false,
	"network.captive-portal-service.enabled":          false,
	"network.connectivity-service.enabled":            false,
	"services.settings.server":                        "data:,#remote-settings-dummy/v1",
	"extensions.update.enabled":                       false,
	"browser.safebrowsing.provider.mozilla.updateURL": "",
}

// StartFirefox starts a headless Firefox with an empty profile, but for further preferences, and returns once it has a page. It ends with the
// test.
func StartFirefox(t testing.TB, more map[string]any) *Firefox {
	t.Helper()
	profile := t.TempDir()
	var lines strings.Builder
	for _, all := range []map[string]any{preferences, more} {
		for name, value := range all {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&lines, "user_pref(%q, %s);\n", name, text)
		}
	}
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testreal.Start(t, testreal.Firefox, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0")
	f := &Firefox{conn: dial(t, filepath.Join(profile, "WebDriverBiDiServer.json"))}
	t.Cleanup(func() { _ = f.conn.CloseNow() })
	call[struct{}](t, f, "session.new", map[string]any{"capabilities": map[string]any{}})
	tree := call[struct {
		Contexts []struct{ Context string }
	}](t, f, "browsingContext.getTree", map[string]any{})
	f.window = tree.Contexts[0].Context
	return f
}

// dial waits for the file in which Firefox says where it listens.
func dial(t testing.TB, file string) *websocket.Conn {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		var server struct {
			Host string `json:"ws_host"`
			Port int    `json:"ws_port"`
		}
		if raw, err := os.ReadFile(file); err == nil && json.Unmarshal(raw, &server) == nil {
			conn, _, err := websocket.Dial(t.Context(), fmt.Sprintf("ws://%s:%d/session", server.Host, server.Port), nil)
			if err == nil {
				conn.SetReadLimit(-1)
				return conn
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("firefox did not serve within %s", startTimeout)
		}
	}
}

// call sends a command, and reads until its result is there. Events are not subscribed to.
func call[T any](t testing.TB, f *Firefox, method string, params any) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	f.asked++
	if err := wsjson.Write(ctx, f.conn, map[string]any{"id": f.asked, "method": method, "params": params}); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	for {
		var reply struct {
			ID      int
			Type    string
			Message string
			Result  json.RawMessage
		}
		if err := wsjson.Read(ctx, f.conn, &reply); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if reply.ID != f.asked {
			continue
		}
		var out T
		if reply.Type != "success" {
			t.Fatalf("%s: %s", method, reply.Message)
		} else if err := json.Unmarshal(reply.Result, &out); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		return out
	}
}

// Navigate shows a page, and returns once it has loaded.
func (f *Firefox) Navigate(t testing.TB, url string) {
	t.Helper()
	call[struct{}](t, f, "browsingContext.navigate", map[string]any{"context": f.window, "url": url, "wait": "complete"})
}

// Eval is what an expression is in the page, once a promise is kept, as JSON has it.
func (f *Firefox) Eval(t testing.TB, expression string, into any) {
	t.Helper()
	type exception struct{ Text string }
	out := call[struct {
		Result           struct{ Value string }
		ExceptionDetails *exception
	}](t, f, "script.evaluate", map[string]any{
		"expression":   "Promise.resolve(" + expression + ").then((v) => JSON.stringify(v ?? null))",
		"awaitPromise": true, "userActivation": true, "target": map[string]any{"context": f.window},
	})
	if out.ExceptionDetails != nil {
		t.Fatalf("%s: %s", expression, out.ExceptionDetails.Text)
	}
	if err := json.Unmarshal([]byte(out.Result.Value), into); err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
}
