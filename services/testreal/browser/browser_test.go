package browser_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/testreal"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page serves one page, and an event stream that breaks off.
func page(t *testing.T, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `<!doctype html><link rel="icon" href="data:,"><title>page</title>`+body)
		case "/stream":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler) // has net/http cut the response
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// spy is a test that records what it found wrong.
type spy struct {
	testing.TB
	wrong []string
}

func (s *spy) Helper() {}

func (s *spy) Errorf(_ string, args ...any) { s.wrong = append(s.wrong, args[1].(string)) }

func TestAPageIsDrivenAndWatched(t *testing.T) {
	b := browser.Start(t)
	url := page(t, `<button onclick="document.title = 'clicked'; console.error('no %s', 'good'); setTimeout(() => { throw new Error('thrown') })">`+
		`Press</button><script>console.log("hello"); fetch("/missing")</script>`)
	b.Do(t, chromedp.Navigate(url), chromedp.Click(chromedp.CSS("button")))
	b.Await(t, `document.title === "clicked"`, "document.title")
	require.Equal(t, 3, browser.Eval[int](t, b, `Promise.resolve(1 + 2)`))
	require.Equal(t, []int{browser.Width, browser.Height}, browser.Eval[[]int](t, b, `[innerWidth, innerHeight]`))

	require.Eventually(t, func() bool { return len(b.Messages()) == 4 }, 10*time.Second, 10*time.Millisecond, "%v", b.Messages())
	s := &spy{TB: t}
	b.RequireQuiet(s, regexp.MustCompile("/missing"))
	require.Len(t, s.wrong, 2, "a console.log is no fault, and what is known is none")
	require.Contains(t, s.wrong[0], "no good")
	require.Contains(t, s.wrong[1], "thrown")

	b.Screenshot(t, "testreal")
	picture := filepath.Join(testreal.Root(t), "out", "screens", "testreal.png")
	require.FileExists(t, picture)
	require.NoError(t, os.Remove(picture))
}

func TestAMicrophoneIsThereUnlessItIsDenied(t *testing.T) {
	const ask = `navigator.mediaDevices.getUserMedia({audio: true}).then((s) => s.getAudioTracks()[0].readyState, (e) => e.name)`
	for want, options := range map[string][]chromedp.ExecAllocatorOption{
		"live": nil, "NotAllowedError": {browser.MicrophoneDenied()},
	} {
		b := browser.Start(t, options...)
		b.Do(t, chromedp.Navigate(page(t, "")))
		require.Equal(t, want, browser.Eval[string](t, b, ask))
	}
}

func TestFirefoxIsDriven(t *testing.T) {
	f := browser.StartFirefox(t, nil)
	f.Navigate(t, page(t, "<p>here</p>"))
	var text string
	f.Eval(t, `document.querySelector("p").textContent`, &text)
	require.Equal(t, "here", text)
	f.Eval(t, `new Promise((r) => setTimeout(r, 1, "later"))`, &text)
	require.Equal(t, "later", text)
	var nothing any = 1
	f.Eval(t, `undefined`, &nothing)
	require.Nil(t, nothing)
}

func TestABrokenStreamIsKnown(t *testing.T) {
	b := browser.Start(t)
	b.Do(t, chromedp.Navigate(page(t, `<script>new EventSource("/stream")</script>`)))
	require.Eventually(t, func() bool { return len(b.Messages()) > 0 }, 10*time.Second, 10*time.Millisecond)
	s := &spy{TB: t}
	b.RequireQuiet(s)
	require.NotEmpty(t, s.wrong)
	b.RequireQuiet(t, browser.BrokenStream)
}
