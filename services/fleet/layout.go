package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Where everything listens. Each pod has its own address of 127.0.0.0/8 and the same ports as the others, as in a cluster; pod n
// is at 127.0.0.(10+n). A system that has only 127.0.0.1 (macOS) gives each pod ports of its own there instead. Both
// depend on the pod's number alone, so that a seed gives the same ring run after run.
const (
	offsetHTTP = iota
	offsetMedia
	offsetAdmin
	offsetMesh
	offsetMeshAdmin
	offsetRedis
	offsetSmaranAdmin
	// offsetFirstPod is where the pods' own ports begin, on a system with one loopback address.
	offsetFirstPod = 10

	portsPerPod = 3
	// A base is reserved by holding the port before it, which no pod uses: two fleets that start at the same time never mix.
	offsetReservation = -1

	baseStep       = 10   // between bases where pods have addresses of their own
	baseStepShared = 1000 // and where they share one
	lastPortBase   = 32000

	firstHost = 11
	blockSize = 240
	maxBlocks = 256
)

const loopback = "127.0.0.1"

// podAddresses is where one pod listens, "ip:port" each.
type podAddresses struct{ http, media, admin string }

// layout hands out addresses. It is not safe for concurrent use once pods are being added; changes come one at a time.
type layout struct {
	ownAddresses bool
	base         int
	reservation  net.Listener
}

// newLayout finds the first base at or after wanted whose ports are free for pods 1 to pods and for what stands beside them; with only,
// it takes wanted or fails.
func newLayout(ctx context.Context, wanted, pods int, oneAddress, only bool) (*layout, error) {
	l := &layout{ownAddresses: !oneAddress && canBind(ctx, host(1))}
	last, end := error(nil), lastPortBase
	if only {
		end = wanted
	}
	for l.base = wanted; l.base <= end; l.base = l.next() {
		if last = l.reserve(ctx, pods); last == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return nil, fmt.Errorf("%w: no ports are free from base %d up to %d: %w", ErrAddress, wanted, end, last)
}

// next is the base after this one.
func (l *layout) next() int {
	if l.ownAddresses {
		return l.base + baseStep
	}
	return l.base + baseStepShared
}

func (l *layout) reserve(ctx context.Context, pods int) error {
	held, err := new(net.ListenConfig).Listen(ctx, "tcp", l.local(offsetReservation))
	if err != nil {
		return err
	}
	for offset := offsetMesh; offset <= offsetSmaranAdmin; offset++ {
		if err := free(ctx, "tcp", l.local(offset)); err != nil {
			_ = held.Close()
			return err
		}
	}
	for n := 1; n <= pods; n++ {
		if err := l.podFree(ctx, n); err != nil {
			_ = held.Close()
			return err
		}
	}
	l.reservation = held
	return nil
}

// local is an address of what is not a pod.
func (l *layout) local(offset int) string {
	return net.JoinHostPort(loopback, strconv.Itoa(l.base+offset))
}

// pod is where pod number n listens. With shared addresses the ports repeat after (baseStepShared-offsetFirstPod)/portsPerPod
// pods, of which all but the newest are long gone.
func (l *layout) pod(n int) podAddresses {
	ip, base := host(n), l.base
	if !l.ownAddresses {
		const slots = (baseStepShared - offsetFirstPod - 1) / portsPerPod
		ip, base = loopback, l.base+offsetFirstPod+portsPerPod*((n-1)%slots)
	}
	at := func(offset int) string { return net.JoinHostPort(ip, strconv.Itoa(base+offset)) }
	return podAddresses{http: at(offsetHTTP), media: at(offsetMedia), admin: at(offsetAdmin)}
}

func (l *layout) podFree(ctx context.Context, n int) error {
	a := l.pod(n)
	return errors.Join(free(ctx, "tcp", a.http), free(ctx, "udp", a.media), free(ctx, "tcp", a.admin))
}

func (l *layout) close() { _ = l.reservation.Close() }

// host is the address of pod n, from 1: 127.0.0.11 to 127.0.0.250, then 127.0.1.11 and on.
func host(n int) string {
	block, i := (n-1)/blockSize%maxBlocks, (n-1)%blockSize
	return fmt.Sprintf("127.0.%d.%d", block, firstHost+i)
}

func canBind(ctx context.Context, ip string) bool {
	err := free(ctx, "tcp", net.JoinHostPort(ip, "0"))
	return !errors.Is(err, syscall.EADDRNOTAVAIL)
}

// free reports why an address can't be bound right now.
func free(ctx context.Context, network, address string) error {
	var config net.ListenConfig
	if network == "udp" {
		c, err := config.ListenPacket(ctx, network, address)
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := config.Listen(ctx, network, address)
	if err != nil {
		return err
	}
	return l.Close()
}
