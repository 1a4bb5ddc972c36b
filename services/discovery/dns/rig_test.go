package dns_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	mdns "github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/discovery/dns"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	host  = "jarvis.test."
	wait  = 10 * time.Second
	pause = 2 * time.Millisecond
)

// world is a DNS server, and pods at addresses that exist only here.
type world struct {
	t     *testing.T
	clock *clockwork.FakeClock
	dns   string

	mu        sync.Mutex
	addresses []string
	rcode     int
	mute      bool
	asked     int
	pods      map[string]*pod
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: clockwork.NewFakeClock(), pods: map[string]*pod{}}
	l, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	w.dns = l.LocalAddr().String()
	server := &mdns.Server{PacketConn: l, Handler: mdns.HandlerFunc(w.answer)}
	served := make(chan error, 1)
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { served <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		require.NoError(t, server.Shutdown())
		require.NoError(t, <-served)
	})
	return w
}

func (w *world) answer(out mdns.ResponseWriter, question *mdns.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.mute {
		return
	}
	reply := new(mdns.Msg).SetRcode(question, w.rcode)
	if w.rcode == mdns.RcodeSuccess {
		for _, text := range w.addresses {
			a := netip.MustParseAddr(text)
			header := mdns.RR_Header{Name: question.Question[0].Name, Rrtype: question.Question[0].Qtype, Class: mdns.ClassINET}
			switch {
			case a.Is4() && header.Rrtype == mdns.TypeA:
				reply.Answer = append(reply.Answer, &mdns.A{Hdr: header, A: a.AsSlice()})
			case a.Is6() && header.Rrtype == mdns.TypeAAAA:
				reply.Answer = append(reply.Answer, &mdns.AAAA{Hdr: header, AAAA: a.AsSlice()})
			}
		}
	}
	_ = out.WriteMsg(reply) // else the lookup times out, and the test says so
}

// resolve has the name resolve to addresses, NXDOMAIN for none.
func (w *world) resolve(addresses ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addresses, w.rcode, w.mute = addresses, mdns.RcodeSuccess, false
	if len(addresses) == 0 {
		w.rcode = mdns.RcodeNameError
	}
}

// breakDNS has lookups fail with a code, or wait in vain.
func (w *world) breakDNS(rcode int, mute bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rcode, w.mute = rcode, mute
}

// pod answers at an address.
type pod struct {
	name   string
	server *httptest.Server

	mu     sync.Mutex
	status int
	leaves bool
	mute   bool
	hung   chan struct{}
	named  int
}

// namer is a pod's jarvis.v1, which tells its name and no more.
type namer struct {
	jarvisv1connect.UnimplementedJarvisServiceHandler
	pod *pod
}

func (n namer) Status(context.Context, *connect.Request[jarvisv1.StatusRequest]) (*connect.Response[jarvisv1.StatusResponse], error) {
	n.pod.mu.Lock()
	defer n.pod.mu.Unlock()
	n.pod.named++
	if n.pod.mute {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("busy"))
	}
	return connect.NewResponse(&jarvisv1.StatusResponse{Pod: n.pod.name}), nil
}

// start puts a pod at an address, in place of the one that was there.
func (w *world) start(address, name string) *pod {
	w.t.Helper()
	p := &pod{name: name, status: http.StatusOK}
	mux := http.NewServeMux()
	mux.HandleFunc(wire.PathReady, func(out http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		status, hung, leaves := p.status, p.hung, p.leaves
		p.mu.Unlock()
		if hung != nil {
			select {
			case <-hung:
			case <-r.Context().Done():
			}
		}
		if leaves {
			out.Header().Set(wire.HeaderEnvoyDegraded, "true")
		}
		out.WriteHeader(status)
	})
	mux.Handle(jarvisv1connect.NewJarvisServiceHandler(namer{pod: p}))
	p.server = httptest.NewServer(mux)
	w.t.Cleanup(p.server.Close)
	w.stop(address)
	w.mu.Lock()
	w.pods[address] = p
	w.mu.Unlock()
	return p
}

// stop has nobody listen at an address.
func (w *world) stop(address string) {
	w.mu.Lock()
	old := w.pods[address]
	delete(w.pods, address)
	w.mu.Unlock()
	if old != nil {
		old.server.CloseClientConnections()
	}
}

// answers has a pod answer checks with a status.
func (p *pod) answers(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

// leave has a pod say that it is ready and takes nothing new.
func (p *pod) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaves = true
}

// busy has a pod too busy to say its name, though it answers checks.
func (p *pod) busy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

// freeze has checks go without an answer, as those of a process that was stopped.
func (p *pod) freeze(t *testing.T) {
	hung := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hung = hung
	t.Cleanup(func() { close(hung) })
}

func (p *pod) timesNamed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.named
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	at := netip.MustParseAddrPort(address)
	w.mu.Lock()
	p := w.pods[at.Addr().String()]
	w.mu.Unlock()
	if p == nil || at.Port() != 8080 && at.Port() != 9090 {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.ErrClosed}
	}
	return new(net.Dialer).DialContext(ctx, network, p.server.Listener.Addr().String())
}

// watch starts a watcher that ends with the test.
func (w *world) watch() *dns.Watcher {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	watcher := dns.Watch(ctx, dns.Name{Host: host, Port: 8080, Admin: 9090}, dns.Deps{
		Resolver: dns.NewResolver(func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", w.dns)
		}),
		Dial: w.dial, Clock: w.clock, Log: slog.New(slog.DiscardHandler),
	})
	w.t.Cleanup(func() {
		cancel()
		<-watcher.Done()
	})
	return watcher
}

// round lets the watcher look once more, and returns once it has.
func (w *world) round() {
	w.t.Helper()
	w.mu.Lock()
	before := w.asked
	w.mu.Unlock()
	w.clock.Advance(dns.Interval)
	require.Eventually(w.t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.asked > before
	}, wait, pause)
}
