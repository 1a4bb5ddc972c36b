package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/smaran-v2/smaran/services/testreal"
)

// How long a browser may take to start, and a page to do what a test waits for.
const (
	startTimeout = 30 * time.Second
	patience     = 20 * time.Second
)

// The first size of a page, in CSS pixels: a projector's.
const (
	Width  = 1280
	Height = 720
)

// MicrophoneDenied has pages that ask for the microphone be refused. Without it they get a fake one, which beeps now and then.
func MicrophoneDenied() chromedp.ExecAllocatorOption {
	return chromedp.Flag("use-fake-ui-for-media-stream", "deny")
}

// Browser is a running Chromium with one page.
type Browser struct {
	// Context is chromedp's. Actions on it are to be made one after another.
	Context context.Context

	console console
}

// Start starts a headless Chromium with its defaults and an empty profile, and returns once it has a page. It has a fake microphone, plays
// sound without a user's gesture, into nothing, and finds the loopback interface for calls. It ends with the test.
func Start(t testing.TB, options ...chromedp.ExecAllocatorOption) *Browser {
	t.Helper()
	path := testreal.Binary(t, testreal.Chromium)
	output := &testreal.Output{}
	options = append(append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.CombinedOutput(output),
		chromedp.WSURLReadTimeout(startTimeout),
		chromedp.WindowSize(Width, Height),
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.Flag("allow-loopback-in-peer-connection", true),
	), options...)
	if os.Getuid() == 0 { // to root its sandbox is not available
		options = append(options, chromedp.NoSandbox)
	}
	allocator, release := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	b := &Browser{Context: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			for _, m := range b.Messages() {
				t.Logf("console: %s", m)
			}
			t.Logf("output of %s:\n%s", path, output)
		}
		closing, stop := context.WithTimeout(ctx, patience)
		defer stop()
		if err := chromedp.Cancel(closing); err != nil {
			t.Logf("close the browser: %v", err)
		}
		cancel()
		release()
		b.console.done.Wait()
	})
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(Width, Height)); err != nil {
		t.Fatalf("start %s: %v; its output:\n%s", path, err, output)
	}
	b.console.listen(ctx)
	return b
}

// Do has the page do something, and fails the test where that fails or takes too long.
func (b *Browser) Do(t testing.TB, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// Eval is what an expression is in the page, once a promise is kept.
func Eval[T any](t testing.TB, b *Browser, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// Await waits until an expression is true in the page, looking at it at each of its frames. Where it is not within the given time, or 20 s, it
// fails the test, and shows what say is then, where there is such an expression.
func (b *Browser) Await(t testing.TB, expression, say string, within ...time.Duration) {
	t.Helper()
	limit := patience
	if len(within) > 0 {
		limit = within[0]
	}
	_, err := chromedp.Run(b.Context, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(limit)))
	if err == nil {
		return
	}
	if say == "" {
		t.Fatalf("not within %s: %s: %v", limit, expression, err)
	}
	t.Fatalf("not within %s: %s: %v; %s is\n%s", limit, expression, err, say, Eval[string](t, b, fmt.Sprintf("String(%s)", say)))
}

// Screenshot writes what the window shows to out/screens/NAME.png of the repository.
func (b *Browser) Screenshot(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatalf("screenshot: %v", err)
	}
	dir := filepath.Join(testreal.Root(t), "out", "screens")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}
