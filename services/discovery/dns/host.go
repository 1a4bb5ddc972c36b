package dns

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/smaran-v2/smaran/services/endpoints"
)

// health is what is known of a host.
type health int

const (
	// out is where a host starts.
	out health = iota
	healthy
	// draining says so, or was healthy and answers that it is not ready.
	draining
)

// host is an address. What a check found is applied by the goroutine that follows.
type host struct {
	// listed: the last lookup gave it.
	listed bool
	health health
	// passes is Envoy's word for a host that it keeps, listed or not.
	passes bool
	// sure: the last check was good, so that it is still the same pod.
	sure bool
	// silent counts checks in a row without an answer.
	silent int
	pod    string
	// named orders hosts by when they were asked for their name.
	named uint64
}

// finding is what one check found.
type finding struct {
	verdict verdict
	// pod is what a host that was not sure calls itself.
	pod string
}

// check asks all hosts at once.
func (w *Watcher) check(ctx context.Context) {
	findings := make(map[*host]*finding, len(w.hosts))
	var wg sync.WaitGroup
	for address, h := range w.hosts {
		f := &finding{}
		findings[h] = f
		ask := !h.sure
		wg.Go(func() { *f = w.find(ctx, address, ask) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return
	}
	for h, f := range findings {
		w.apply(h, *f)
	}
}

func (w *Watcher) apply(h *host, f finding) {
	switch f.verdict {
	case ready, leaving:
		if !h.sure {
			w.named++
			h.pod, h.named = f.pod, w.named
		}
		h.health, h.passes, h.sure, h.silent = healthy, true, true, 0
		if f.verdict == leaving {
			h.health = draining
		}
	case notReady:
		if h.health != out {
			h.health = draining
		}
		h.passes, h.sure, h.silent = false, false, 0
	case unnamed:
		// Envoy sees the check pass. So a host that was listed stays as it was, and is asked again; one that never said its name may be
		// no pod at all.
		h.silent = 0
		h.passes = h.health != out
	case silent:
		h.sure = false
		if h.silent++; h.silent >= UnhealthyAfter {
			h.health, h.passes = out, false
		}
	}
}

// list is the hosts that are to be listed, by address. Where two have one name, a pod has come back at another address: the one that
// said so last counts.
func (w *Watcher) list() []endpoints.Endpoint {
	last := map[string]uint64{}
	for _, h := range w.hosts {
		if h.health != out {
			last[h.pod] = max(last[h.pod], h.named)
		}
	}
	var addresses []netip.Addr
	for address, h := range w.hosts {
		if h.health != out && h.named == last[h.pod] {
			addresses = append(addresses, address)
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	list := make([]endpoints.Endpoint, len(addresses))
	for i, address := range addresses {
		h := w.hosts[address]
		list[i] = endpoints.Endpoint{Pod: h.pod, Address: netip.AddrPortFrom(address, w.name.Port).String(), Health: endpoints.Healthy}
		if h.health == draining {
			list[i].Health = endpoints.Draining
		}
	}
	return list
}
