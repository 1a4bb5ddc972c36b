package web_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
	"github.com/smaran-v2/smaran/services/testreal/browser"
)

// talk fills a scene as in the midst of a talk.
func talk(s *scene.Scene, pods int) {
	s.Change(func(c *scene.Change) {
		c.Lane(full(lane("a", "istio-hash"), 27, 27, 31, 22, 34, 104, 902, 190))
		c.Lane(full(lane("b", "handoff"), 27, 27, 0, 7, 9, 103, 131, 60))
		for _, l := range []string{"a", "b"} {
			fill(c, l, pods, 24)
			c.Session(&stagev1.Session{Lane: l, Id: "browser-1", Pod: podName(pods - 1), CallUp: true, Browser: true, Turn: 3, Epoch: 1, Position: ptr(0.07)})
		}
		minute(c, "a", 4)
		minute(c, "b", 0)
		r := ringOf("a", pods)
		for i := range 3 {
			silent := session(r, "a", i)
			silent.Silent = true
			c.Session(silent)
			down := session(r, "a", i+3)
			down.CallUp = false
			c.Session(down)
		}
		c.Session(&stagev1.Session{Lane: "a", Id: "caller-900", State: "failed"})
	})
}

func TestScreens(t *testing.T) {
	for _, pods := range []int{3, 10} {
		s := newShow(t)
		talk(s.scene, pods)
		s.clock.by.Store(int64(58 * time.Second))
		b := s.open(t, "")
		for _, theme := range []string{"light", "dark"} {
			emulate(t, b, "prefers-color-scheme", theme)
			for _, at := range [][2]int64{{1280, 720}, {390, 844}, {1920, 1080}} {
				b.Do(t, chromedp.EmulateViewport(at[0], at[1]))
				settle(t, b)
				b.Screenshot(t, fmt.Sprintf("stage-%dx%d-%s-%d", at[0], at[1], theme, pods))
			}
		}
		b.RequireQuiet(t)
	}
}

func emulate(t testing.TB, b *browser.Browser, feature, value string) {
	t.Helper()
	_, err := chromedp.Call(b.Context, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: feature, Value: value}},
	})
	require.NoError(t, err)
}

// settle waits until nothing on the page moves.
func settle(t testing.TB, b *browser.Browser) {
	t.Helper()
	browser.Eval[chromedp.Void](t, b, `import("./assets/js/main.js").then((page) => page.frames.rest())`)
}
