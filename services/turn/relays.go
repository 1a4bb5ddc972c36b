package turn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"github.com/jonboulle/clockwork"
	"github.com/pion/turn/v5"
	"golang.org/x/time/rate"
)

var (
	errNoRoom    = errors.New("no room for another allocation")
	errNoPort    = errors.New("no port is free")
	errTransport = errors.New("relays by UDP alone")
)

// relays are the allocations' sockets, as pion/turn asks for them, and the bounds on them. A socket that is closed gives its place back.
type relays struct {
	address    netip.Addr
	ports      Ports
	total, per int
	bandwidth  int
	clock      clockwork.Clock
	metrics    *metrics

	mu      sync.Mutex
	held    map[string]int // by user
	open    int
	leaving bool
	// empty is closed once nothing is open and nothing can be opened.
	empty chan struct{}
}

func newRelays(c Config, clock clockwork.Clock, m *metrics) *relays {
	return &relays{
		address: c.RelayAddress.Unmap(), ports: c.RelayPorts, total: c.MaxAllocations, per: c.MaxPerUser, bandwidth: c.Bandwidth,
		clock: clock, metrics: m, held: map[string]int{}, empty: make(chan struct{}),
	}
}

// hasRoom is asked before a socket is, because a refusal here is told as one of a quota.
func (r *relays) hasRoom(user, _ string, _ net.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	why, full := r.full(user)
	if full {
		r.metrics.refuse(why)
	}
	return !full
}

func (r *relays) full(of string) (why reason, full bool) {
	switch {
	case r.leaving:
		return draining, true
	case r.open >= r.total:
		return total, true
	case r.held[of] >= r.per:
		return user, true
	}
	return "", false
}

// take holds a place. It counts again: between hasRoom and here another connection's reader may have taken the last.
func (r *relays) take(of string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why, full := r.full(of); full {
		r.metrics.refuse(why)
		return errNoRoom
	}
	r.open++
	r.held[of]++
	return nil
}

func (r *relays) give(of string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	if r.held[of]--; r.held[of] == 0 {
		delete(r.held, of)
	}
	if r.leaving && r.open == 0 {
		close(r.empty)
	}
}

// drain refuses new allocations, and returns a channel that is closed once the last is gone. It is called once.
func (r *relays) drain() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaving = true
	if r.open == 0 {
		close(r.empty)
	}
	return r.empty
}

// Validate is part of turn.RelayAddressGenerator; configuration was checked.
func (r *relays) Validate() error { return nil }

// AllocatePacketConn opens the socket of one allocation, on a port that is free or, with EVEN-PORT (RFC 8656 section 7.2), the one that was
// kept for it.
func (r *relays) AllocatePacketConn(c turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	if err := r.take(c.UserID); err != nil {
		return nil, nil, err
	}
	socket, err := r.bind(c.Network, c.RequestedPort)
	if err != nil {
		r.give(c.UserID)
		r.metrics.refuse(ports)
		return nil, nil, err
	}
	relay := &relay{PacketConn: socket, of: c.UserID, relays: r}
	if r.bandwidth > 0 {
		relay.sending = rate.NewLimiter(rate.Limit(r.bandwidth), r.bandwidth)
		relay.receiving = rate.NewLimiter(rate.Limit(r.bandwidth), r.bandwidth)
	}
	return relay, socket.LocalAddr(), nil
}

// tries is how many ports are tried before all are taken to be in use.
const tries = 64

func (r *relays) bind(network string, wanted int) (net.PacketConn, error) {
	first, count := int(r.ports.First), int(r.ports.Last)-int(r.ports.First)+1
	if wanted != 0 {
		if wanted < first || wanted >= first+count {
			return nil, fmt.Errorf("%w: %d is not among those of relays", errNoPort, wanted)
		}
		first, count = wanted, 1
	}
	from := rand.IntN(count)
	var failed error
	for i := range min(count, tries) {
		port := first + (from+i)%count
		socket, err := net.ListenPacket(network, net.JoinHostPort(r.address.String(), strconv.Itoa(port)))
		if err == nil {
			return socket, nil
		}
		failed = err
	}
	return nil, fmt.Errorf("%w: %w", errNoPort, failed)
}

// AllocateListener and AllocateConn would relay by TCP (RFC 6062), which no call needs.
func (r *relays) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	r.metrics.refuse(transport)
	return nil, nil, errTransport
}

// AllocateConn is refused as AllocateListener is.
func (r *relays) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) {
	r.metrics.refuse(transport)
	return nil, errTransport
}

// relay is the socket of one allocation, counted and bounded.
type relay struct {
	net.PacketConn
	of     string
	relays *relays
	// sending and receiving are nil without a bound.
	sending, receiving *rate.Limiter
	once               sync.Once
}

// ReadFrom skips what is over the bandwidth.
func (r *relay) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := r.PacketConn.ReadFrom(p)
		if err != nil {
			return n, from, err
		}
		if !r.within(r.receiving, n) {
			continue
		}
		r.relays.metrics.fromPeer.Add(float64(n))
		return n, from, nil
	}
}

// WriteTo drops what is over the bandwidth, as any network would.
func (r *relay) WriteTo(p []byte, to net.Addr) (int, error) {
	if !r.within(r.sending, len(p)) {
		return len(p), nil
	}
	n, err := r.PacketConn.WriteTo(p, to)
	r.relays.metrics.toPeer.Add(float64(n))
	return n, err
}

func (r *relay) within(l *rate.Limiter, n int) bool {
	if l == nil || l.AllowN(r.relays.clock.Now(), n) {
		return true
	}
	r.relays.metrics.dropped.Inc()
	return false
}

// Close gives the allocation's place back.
func (r *relay) Close() error {
	err := r.PacketConn.Close()
	r.once.Do(func() { r.relays.give(r.of) })
	return err
}
