package probe

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/websocket"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	statusOK        = http.StatusOK
	schemeWebSocket = "ws"
	maxBody         = 512
)

// Run makes the requests of a batch and returns their answers in the order of their begin. It fails with ErrBatch; a request that fails
// is an answer. When ctx ends, so does the batch.
func Run(ctx context.Context, b Batch) ([]Answer, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	workers := max(b.Concurrency, 1)
	transport := &http.Transport{MaxIdleConnsPerHost: workers, DisableCompression: true}
	defer transport.CloseIdleConnections()
	r := &runner{batch: b, transport: transport, begin: time.Now(), jars: map[string]http.CookieJar{},
		tokens: map[string]string{}, busy: map[string]bool{}}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() { r.work(ctx) })
	}
	all.Wait()
	slices.SortStableFunc(r.answers, func(a, b Answer) int { return cmp.Compare(a.At, b.At) })
	return r.answers, nil
}

// runner is one batch under way.
type runner struct {
	batch     Batch
	transport *http.Transport
	begin     time.Time

	mu      sync.Mutex
	begun   int
	turn    int
	answers []Answer
	jars    map[string]http.CookieJar
	tokens  map[string]string
	busy    map[string]bool
}

func (r *runner) work(ctx context.Context) {
	var pace <-chan time.Time
	if r.batch.Every > 0 {
		ticker := time.NewTicker(r.batch.Every)
		defer ticker.Stop()
		pace = ticker.C
	}
	for ctx.Err() == nil {
		id, jar, ok := r.next()
		if !ok {
			return
		}
		a := r.ask(ctx, id, jar)
		if ctx.Err() != nil {
			return // cut by us: no answer of theirs
		}
		r.mu.Lock()
		r.answers = append(r.answers, a)
		delete(r.busy, id)
		r.mu.Unlock()
		if pace != nil {
			select {
			case <-pace:
			case <-ctx.Done():
			}
		}
	}
}

// next is the session whose turn it is, unless the batch is done.
func (r *runner) next() (id string, jar http.CookieJar, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.batch.Requests > 0 && r.begun >= r.batch.Requests || r.batch.Requests == 0 && time.Since(r.begin) >= r.batch.Lasting {
		return "", nil, false
	}
	r.begun++
	if n := len(r.batch.Sessions); n > 0 {
		for id = r.batch.Sessions[r.turn%n]; r.busy[id]; id = r.batch.Sessions[r.turn%n] {
			r.turn++ // ends, as there are more sessions than others who could hold one
		}
		r.turn++
		r.busy[id] = n >= r.batch.Concurrency
	}
	if !r.batch.Cookies {
		return id, nil, true
	}
	if r.jars[id] == nil {
		r.jars[id], _ = cookiejar.New(nil) // fails only with options
	}
	return id, r.jars[id], true
}

func (r *runner) ask(ctx context.Context, id string, jar http.CookieJar) Answer {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.batch.Timeout, usualTimeout))
	defer cancel()
	a := Answer{Session: id, At: time.Since(r.begin)}
	var err error
	if strings.HasPrefix(r.batch.URL, schemeWebSocket+":") {
		err = r.exchange(ctx, &a)
	} else {
		err = r.get(ctx, &a, jar)
	}
	a.Took = time.Since(r.begin) - a.At
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

func (r *runner) get(ctx context.Context, a *Answer, jar http.CookieJar) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.batch.URL, nil)
	if err != nil {
		return err
	}
	req.Header = r.header(a.Session)
	if token := r.token(a.Session); token != "" {
		req.Header.Set(r.batch.Return, token)
	}
	res, err := (&http.Client{Transport: r.transport, Jar: jar}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	a.Status, a.Pod = res.StatusCode, res.Header.Get(wire.HeaderPod)
	r.given(a.Session, res.Header)
	for _, name := range r.batch.Keep {
		if value := res.Header.Get(name); value != "" {
			if a.Header == nil {
				a.Header = map[string]string{}
			}
			a.Header[name] = value
		}
	}
	if a.Status != statusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, maxBody))
		a.Body = string(body)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// token is what the session was given last, if it is to return anything.
func (r *runner) token(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tokens[id]
}

func (r *runner) given(id string, h http.Header) {
	if value := h.Get(r.batch.Return); r.batch.Return != "" && value != "" {
		r.mu.Lock()
		r.tokens[id] = value
		r.mu.Unlock()
	}
}

func (r *runner) header(id string) http.Header {
	h := http.Header{}
	for name, value := range r.batch.Header {
		h.Set(name, value)
	}
	if id != "" {
		h.Set(session.Header, id)
	}
	return h
}

// exchange sends a message over a WebSocket and wants it back.
func (r *runner) exchange(ctx context.Context, a *Answer) error {
	config, err := websocket.NewConfig(r.batch.URL, "http://probe")
	if err != nil {
		return err
	}
	config.Header = r.header(a.Session)
	ws, err := config.DialContext(ctx)
	if err != nil {
		return err
	}
	defer ws.Close()
	defer context.AfterFunc(ctx, func() { _ = ws.Close() })()
	if err := websocket.Message.Send(ws, a.Session); err != nil {
		return err
	}
	var pod string
	if err := websocket.Message.Receive(ws, &pod); err != nil {
		return err
	}
	a.Status, a.Pod = statusOK, pod
	return nil
}
