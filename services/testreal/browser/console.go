package browser

import (
	"context"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// BrokenStream is what Chromium logs of each event stream or request whose server goes away. A page can't keep it from doing so.
var BrokenStream = regexp.MustCompile(`net::ERR_(INCOMPLETE_CHUNKED_ENCODING|CONNECTION_REFUSED|CONNECTION_RESET|CONNECTION_CLOSED|EMPTY_RESPONSE)`)

// console keeps a page's messages.
type console struct {
	done sync.WaitGroup

	mu       sync.Mutex
	messages []chromedp.ConsoleMessage
}

// listen takes messages until the context ends.
func (c *console) listen(ctx context.Context) {
	messages := chromedp.Console(ctx)
	c.done.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			c.mu.Lock()
			c.messages = append(c.messages, m)
			c.mu.Unlock()
		}
	})
}

// Messages are what the page has written to the console, what nobody caught included.
func (b *Browser) Messages() []chromedp.ConsoleMessage {
	b.console.mu.Lock()
	defer b.console.mu.Unlock()
	return slices.Clone(b.console.messages)
}

// RequireQuiet fails the test for each warning, error and uncaught exception so far whose text, and the URL it is about, match none of those
// that are known.
func (b *Browser) RequireQuiet(t testing.TB, known ...*regexp.Regexp) {
	t.Helper()
	for _, m := range b.Messages() {
		loud := m.IsException() || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning || m.Type == "assert"
		said := m.Text + " " + m.URL
		if loud && !slices.ContainsFunc(known, func(k *regexp.Regexp) bool { return k.MatchString(said) }) {
			t.Errorf("the page's console has: %s: %s", m.Type, said)
		}
	}
}
