package mesh

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/smaran-v2/smaran/services/mesh/upstream"
)

// tryHTTP2 returns an error only while nothing was answered.
func (x *exchange) tryHTTP2(p *pod) error {
	ctx, cancel := context.WithCancelCause(x.r.Context())
	defer cancel(nil)
	defer p.Done()
	var timer atomic.Pointer[time.Timer]
	defer func() {
		if t := timer.Load(); t != nil {
			t.Stop()
		}
	}()
	complete := func() {
		x.complete()
		if deadline := x.deadline(); !deadline.IsZero() && ctx.Err() == nil {
			timer.Store(time.AfterFunc(time.Until(deadline), func() { cancel(upstream.ErrTimeout) }))
		}
	}
	if x.r.ContentLength == 0 {
		complete()
	}
	res, err := p.RoundTrip(x.requestHTTP2(&body{ReadCloser: x.r.Body, complete: complete}).WithContext(ctx))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	// First, since Close waits for the request's body, which the client may keep open.
	defer cancel(nil)
	x.head(res)
	x.copyBody(ctx, res, nil)
	return nil
}

// requestHTTP2 is the request to the pod.
func (x *exchange) requestHTTP2(b *body) *http.Request {
	r := x.r
	url := *r.URL
	url.Scheme, url.Host = "http", x.target.Address
	header := make(http.Header, len(r.Header)+len(x.fields)+1)
	o := omit(r.Header, x.fields)
	for name, values := range r.Header {
		if !o.drops(name) {
			header[name] = values
		}
	}
	for _, f := range x.fields {
		header[f.name] = []string{f.value}
	}
	if acceptsTrailers(r.Header) {
		header["Te"] = []string{"trailers"}
	}
	if len(header["User-Agent"]) == 0 {
		header["User-Agent"] = nil // keeps net/http from naming itself
	}
	out := &http.Request{
		Method:        r.Method,
		URL:           &url,
		Host:          r.Host,
		Header:        header,
		ContentLength: r.ContentLength,
		Trailer:       r.Trailer, // filled in at the body's end
	}
	if r.ContentLength != 0 {
		out.Body = b
	}
	return out
}

// body tells when a request's last byte was read, and stays open when a connection fails, so that the next one can
// have it.
type body struct {
	io.ReadCloser
	complete func()
	ended    bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && !b.ended {
		b.ended = true
		b.complete()
	}
	return n, err
}

// Close leaves the closing to the server.
func (b *body) Close() error { return nil }
