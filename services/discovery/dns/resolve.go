package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// NewResolver is Go's own resolver, which tells a name without addresses from a lookup that failed; the C library's does not always.
// dial connects to name servers.
func NewResolver(dial func(ctx context.Context, network, address string) (net.Conn, error)) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			// Else a lookup that was given up goes on reading for 5 s. This ctx ends with each exchange.
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}}
}

// resolve marks which hosts DNS gives, and adds those that are new.
func (w *Watcher) resolve(ctx context.Context) {
	addresses, err := w.lookup(ctx)
	if err != nil {
		if !w.unresolved && ctx.Err() == nil {
			w.log.WarnContext(ctx, "lookup failed; the last addresses stay", "error", err)
		}
		w.unresolved = true
		return
	}
	w.unresolved = false
	for _, h := range w.hosts {
		h.listed = false
	}
	for _, a := range addresses {
		if w.hosts[a] == nil {
			w.hosts[a] = &host{}
		}
		w.hosts[a].listed = true
	}
}

// lookup returns the name's IPv4 addresses, or its IPv6 ones if there are no others (dns_lookup_family V4_PREFERRED).
func (w *Watcher) lookup(ctx context.Context) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, LookupTimeout)
	defer cancel()
	found, err := w.deps.Resolver.LookupNetIP(ctx, "ip", w.name.Host)
	var failure *net.DNSError
	if errors.As(err, &failure) && failure.IsNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var four, six []netip.Addr
	for _, a := range found {
		switch a = a.Unmap(); {
		case a.Is4():
			four = append(four, a)
		case a.Zone() == "":
			six = append(six, a)
		}
	}
	if len(four) > 0 {
		return four, nil
	}
	return six, nil
}
