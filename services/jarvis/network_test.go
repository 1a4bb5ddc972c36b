package jarvis_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// lateness bounds how long a message is on its way whose sender waits no longer.
const lateness = 2 * time.Second

// network is what lies between pods, and between callers and pods. Without faults it passes everything on at once. A message goes on its
// way even where its sender gives up meanwhile, as in a real one: it may arrive late.
//
// Ends are addresses of pods or names of callers. Close it when all who use it have ended.
type network struct {
	inner *http.Transport
	// delay, where set, is how long a message is on its way; again, where set, whether it comes twice.
	delay func(from, to string) time.Duration
	again func(path string) bool

	mu sync.Mutex
	// down are the ends whose port refuses, cut the ways that lose everything, frozen the ends that neither send nor take anything.
	down   map[string]bool
	cut    map[way]bool
	frozen map[string]bool
	// healed is closed when one of these became less.
	healed chan struct{}
	// under are the messages under way; quiet is closed once there are none.
	under int
	quiet chan struct{}
}

type way struct{ from, to string }

func newNetwork() *network {
	return &network{inner: &http.Transport{MaxIdleConnsPerHost: 100}, down: map[string]bool{}, cut: map[way]bool{}, frozen: map[string]bool{},
		healed: make(chan struct{}), quiet: make(chan struct{})}
}

// settle waits until nothing is under way.
func (n *network) settle() {
	for {
		n.mu.Lock()
		under, quiet := n.under, n.quiet
		n.mu.Unlock()
		if under == 0 {
			return
		}
		<-quiet
	}
}

// close is settle, for good.
func (n *network) close() {
	n.settle()
	n.inner.CloseIdleConnections()
}

// send does something that counts as under way.
func (n *network) send(f func()) {
	n.mu.Lock()
	n.under++
	n.mu.Unlock()
	go func() {
		defer func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.under--; n.under == 0 {
				close(n.quiet)
				n.quiet = make(chan struct{})
			}
		}()
		f()
	}()
}

// change changes what is wrong with it, under its lock.
func (n *network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	close(n.healed)
	n.healed = make(chan struct{})
}

func (n *network) refuse(end string, refuses bool) { n.change(func() { n.down[end] = refuses }) }
func (n *network) freeze(end string, frozen bool)  { n.change(func() { n.frozen[end] = frozen }) }
func (n *network) part(w way, cut bool)            { n.change(func() { n.cut[w] = cut }) }

// pass waits until a message gets from one end to the other.
func (n *network) pass(ctx context.Context, from, to, op string) error {
	for {
		n.mu.Lock()
		refused := n.down[from] || n.down[to]
		open := !n.cut[way{from, to}] && !n.frozen[from] && !n.frozen[to]
		healed := n.healed
		n.mu.Unlock()
		switch {
		case refused:
			return &net.OpError{Op: op, Net: "tcp", Err: errors.New("unreachable")}
		case open:
			return nil
		}
		select {
		case <-healed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// link is one end's way to the others.
type link struct {
	*network
	from string
	// dead, where set, is whether the process at this end is gone, whoever is at its address now.
	dead func() bool
}

func (l link) gone() bool { return l.dead != nil && l.dead() }

// RoundTrip carries a message whose answer is no stream.
func (l link) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Body.Close(); err != nil {
		return nil, err
	}
	type result struct {
		res *http.Response
		err error
	}
	done := make(chan result, 1)
	if l.again != nil && l.again(r.URL.Path) {
		l.send(func() { _, _ = l.carry(r, body) }) // nobody waits for the second one
	}
	l.send(func() {
		res, err := l.carry(r, body)
		done <- result{res, err}
	})
	select {
	case got := <-done:
		return got.res, got.err
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

func (l link) carry(r *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), lateness)
	defer cancel()
	to := r.URL.Host
	if err := l.wait(ctx, to); err != nil {
		return nil, err
	}
	if err := l.pass(ctx, l.from, to, "dial"); err != nil {
		return nil, err
	}
	if l.gone() {
		return nil, context.Canceled
	}
	out := r.Clone(ctx)
	out.Body = io.NopCloser(bytes.NewReader(body))
	res, err := l.inner.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	err = errors.Join(err, res.Body.Close())
	if err != nil {
		return nil, err
	}
	if err := l.pass(ctx, to, l.from, "read"); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	return res, nil
}

// wait is a message's time on its way.
func (l link) wait(ctx context.Context, to string) error {
	if l.delay == nil {
		return nil
	}
	timer := time.NewTimer(l.delay(l.from, to))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
