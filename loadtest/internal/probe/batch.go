package probe

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// ErrBatch is returned for a batch that can't be run as it was asked for.
var ErrBatch = errors.New("probe: not a batch")

// Batch is requests that a probe is to make. Times are in nanoseconds on the wire.
type Batch struct {
	// URL is asked by GET. With the scheme ws it is one message over a WebSocket of its own and back.
	URL string `json:"url"`
	// Sessions are taken in turn as the session header; without any there is no header. One that is under way is passed over, unless
	// there are fewer of them than Concurrency.
	Sessions []string `json:"sessions,omitempty"`
	// Header is sent with every request.
	Header map[string]string `json:"header,omitempty"`
	// Keep names headers of the replies to report.
	Keep []string `json:"keep,omitempty"`
	// Cookies has each session keep its cookies, as a browser would.
	Cookies bool `json:"cookies,omitempty"`
	// Return names a header of the replies whose last value each session sends with its next request, as a client does with a token.
	Return string `json:"return,omitempty"`
	// Requests is how many in all; 0 is as many as begin within Lasting.
	Requests int           `json:"requests,omitempty"`
	Lasting  time.Duration `json:"lasting,omitempty"`
	// Concurrency is how many are under way at once, each on a connection of its own; 0 is one.
	Concurrency int `json:"concurrency,omitempty"`
	// Every is the time from one begin to the next of each of those; 0 is at once after the answer.
	Every time.Duration `json:"every,omitempty"`
	// Timeout bounds one request, its body included; 0 is ten seconds.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Bounds of a batch: what a pod of 128 MiB can hold the answers of.
const (
	maxRequests    = 100_000
	maxConcurrency = 256
	usualTimeout   = 10 * time.Second
)

func (b Batch) check() error {
	u, err := url.Parse(b.URL)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrBatch, err)
	case u.Scheme != "http" && u.Scheme != schemeWebSocket:
		return fmt.Errorf("%w: url %q: expected http or %s", ErrBatch, b.URL, schemeWebSocket)
	case b.Requests < 0 || b.Requests > maxRequests:
		return fmt.Errorf("%w: %d requests: expected up to %d", ErrBatch, b.Requests, maxRequests)
	case b.Requests == 0 && b.Lasting <= 0:
		return fmt.Errorf("%w: neither a number of requests nor a time", ErrBatch)
	case b.Concurrency < 0 || b.Concurrency > maxConcurrency:
		return fmt.Errorf("%w: concurrency %d: expected up to %d", ErrBatch, b.Concurrency, maxConcurrency)
	}
	return nil
}

// Answer is what came of one request.
type Answer struct {
	Session string `json:"session,omitempty"`
	// At is when it began, from the batch's begin, and Took until the end of its body.
	At   time.Duration `json:"at"`
	Took time.Duration `json:"took"`
	// Status is the reply's, 0 without one.
	Status int `json:"status,omitempty"`
	// Pod is who answered, by its own word.
	Pod string `json:"pod,omitempty"`
	// Header has what Batch.Keep names, in the spelling that it has there.
	Header map[string]string `json:"header,omitempty"`
	// Body begins the body of a reply other than 200.
	Body string `json:"body,omitempty"`
	// Error is why there is no reply, or not all of it.
	Error string `json:"error,omitempty"`
}

// OK is whether all of a good reply came.
func (a Answer) OK() bool { return a.Error == "" && a.Status == statusOK }
