package dns_test

import (
	"net/http"
	"testing"

	mdns "github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/discovery/dns"
	"github.com/smaran-v2/smaran/services/endpoints"
)

func healthy(name, address string) endpoints.Endpoint {
	return endpoints.Endpoint{Pod: name, Address: address, Health: endpoints.Healthy}
}

func draining(name, address string) endpoints.Endpoint {
	return endpoints.Endpoint{Pod: name, Address: address, Health: endpoints.Draining}
}

// shows lets the watcher look until it shows list, which takes it at most a few rounds.
func (w *world) shows(watcher *dns.Watcher, list ...endpoints.Endpoint) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		w.clock.Advance(dns.Interval)
		return equal(list, watcher.Current().Endpoints)
	}, wait, pause, "want %v, have %v", list, watcher.Current())
}

func equal(a, b []endpoints.Endpoint) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// keeps lets the watcher look a few times, after which it still shows what it did.
func (w *world) keeps(watcher *dns.Watcher) {
	w.t.Helper()
	before := watcher.Current()
	for range 2 * dns.UnhealthyAfter {
		w.round()
	}
	require.Equal(w.t, before, watcher.Current())
}

func TestPodsThatAreReadyAtTheStart(t *testing.T) {
	w := newWorld(t)
	w.resolve("10.0.0.3", "10.0.0.2", "10.0.0.4")
	w.start("10.0.0.2", "jarvis-1")
	w.start("10.0.0.3", "jarvis-2")
	w.start("10.0.0.4", "jarvis-3").answers(http.StatusServiceUnavailable)
	watcher := w.watch()
	require.Equal(t, endpoints.Set{Version: "1", Endpoints: []endpoints.Endpoint{
		healthy("jarvis-1", "10.0.0.2:8080"), healthy("jarvis-2", "10.0.0.3:8080"),
	}}, watcher.Current(), "by address, without the one that has yet to load")
	w.keeps(watcher)
}

func TestANameWithoutAddressesIsNoFailure(t *testing.T) {
	w := newWorld(t)
	w.resolve()
	watcher := w.watch()
	require.Equal(t, endpoints.Set{Version: "0"}, watcher.Current())
	changed := watcher.Changed()
	w.start("10.0.0.2", "jarvis-1")
	w.resolve("10.0.0.2")
	w.shows(watcher, healthy("jarvis-1", "10.0.0.2:8080"))
	<-changed
	require.Equal(t, "1", watcher.Current().Version)
}

func TestReadinessDecides(t *testing.T) {
	w := newWorld(t)
	w.resolve("10.0.0.2", "10.0.0.3")
	one := w.start("10.0.0.2", "jarvis-1")
	w.start("10.0.0.3", "jarvis-2")
	watcher := w.watch()

	one.answers(http.StatusServiceUnavailable)
	w.shows(watcher, draining("jarvis-1", "10.0.0.2:8080"), healthy("jarvis-2", "10.0.0.3:8080"))
	one.answers(http.StatusOK)
	w.shows(watcher, healthy("jarvis-1", "10.0.0.2:8080"), healthy("jarvis-2", "10.0.0.3:8080"))
	w.stop("10.0.0.2")
	w.shows(watcher, healthy("jarvis-2", "10.0.0.3:8080"))
	w.start("10.0.0.2", "jarvis-1").answers(http.StatusServiceUnavailable)
	w.keeps(watcher) // what was out is not draining
}

// Envoy asks for no name: to it the check has passed, and so the pod stays, also where DNS gives it no more.
func TestAPodThatIsTooBusyToSayItsName(t *testing.T) {
	w := newWorld(t)
	w.resolve("10.0.0.2", "10.0.0.3")
	one := w.start("10.0.0.2", "jarvis-1")
	w.start("10.0.0.3", "jarvis-2")
	watcher := w.watch()
	one.answers(http.StatusServiceUnavailable)
	w.shows(watcher, draining("jarvis-1", "10.0.0.2:8080"), healthy("jarvis-2", "10.0.0.3:8080"))

	one.busy()
	one.answers(http.StatusOK)
	before := one.timesNamed()
	require.Eventually(t, func() bool { w.round(); return one.timesNamed() > before }, wait, pause)
	w.round() // what was found is applied by now
	w.resolve("10.0.0.3")
	w.keeps(watcher)
}

func TestAPodThatSaysThatItDrains(t *testing.T) {
	w := newWorld(t)
	w.resolve("10.0.0.2", "10.0.0.3")
	one := w.start("10.0.0.2", "jarvis-1")
	w.start("10.0.0.3", "jarvis-2").leave()
	watcher := w.watch()
	require.Equal(t, []endpoints.Endpoint{healthy("jarvis-1", "10.0.0.2:8080"), draining("jarvis-2", "10.0.0.3:8080")},
		watcher.Current().Endpoints, "also one that did before anybody looked")
	one.leave()
	w.shows(watcher, draining("jarvis-1", "10.0.0.2:8080"), draining("jarvis-2", "10.0.0.3:8080"))
	w.resolve("10.0.0.3")
	w.keeps(watcher) // a check that is good keeps what DNS no longer gives
	one.answers(http.StatusServiceUnavailable)
	w.shows(watcher, draining("jarvis-2", "10.0.0.3:8080"))
}

func TestAFrozenPodIsOut(t *testing.T) {
	w := newWorld(t)
	w.resolve("10.0.0.2")
	one := w.start("10.0.0.2", "jarvis-1")
	watcher := w.watch()
	require.Equal(t, []endpoints.Endpoint{healthy("jarvis-1", "10.0.0.2:8080")}, watcher.Current().Endpoints)
	one.freeze(t)
	w.shows(watcher)
}

func TestAnAddressThatAnotherPodGot(t *testing.T) {
	w := newWorld(t)
	w.resolve("10.0.0.2")
	w.start("10.0.0.2", "jarvis-1")
	watcher := w.watch()

	w.stop("10.0.0.2")
	w.shows(watcher)
	w.start("10.0.0.2", "jarvis-7")
	w.shows(watcher, healthy("jarvis-7", "10.0.0.2:8080"))

	w.stop("10.0.0.2")
	w.resolve()
	w.shows(watcher)
	p := w.start("10.0.0.2", "jarvis-8")
	w.resolve("10.0.0.2")
	w.shows(watcher, healthy("jarvis-8", "10.0.0.2:8080"))
	w.keeps(watcher)
	require.Equal(t, 1, p.timesNamed(), "who stays ready is not asked again")
}

func TestAPodThatCameBackAtAnotherAddress(t *testing.T) {
	w := newWorld(t)
	w.resolve("10.0.0.2")
	w.start("10.0.0.2", "jarvis-1").answers(http.StatusOK)
	watcher := w.watch()
	w.start("10.0.0.9", "jarvis-1")
	w.resolve("10.0.0.2", "10.0.0.9")
	w.shows(watcher, healthy("jarvis-1", "10.0.0.9:8080")) // one name, one address: where it was heard last
}

func TestWhatDNSNoLongerGivesStaysWhileItIsReady(t *testing.T) {
	w := newWorld(t)
	w.resolve("10.0.0.2", "10.0.0.3")
	one := w.start("10.0.0.2", "jarvis-1")
	w.start("10.0.0.3", "jarvis-2")
	watcher := w.watch()
	w.resolve("10.0.0.3")
	w.keeps(watcher)
	one.answers(http.StatusServiceUnavailable)
	w.shows(watcher, healthy("jarvis-2", "10.0.0.3:8080"))
}

func TestALookupThatFailsChangesNothing(t *testing.T) {
	for name, fail := range map[string]func(*world){
		"SERVFAIL": func(w *world) { w.breakDNS(mdns.RcodeServerFailure, false) },
		"REFUSED":  func(w *world) { w.breakDNS(mdns.RcodeRefused, false) },
		"no reply": func(w *world) { w.breakDNS(mdns.RcodeSuccess, true) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.resolve("10.0.0.2", "10.0.0.3")
			w.start("10.0.0.2", "jarvis-1")
			two := w.start("10.0.0.3", "jarvis-2")
			two.answers(http.StatusServiceUnavailable)
			watcher := w.watch()
			fail(w)
			w.keeps(watcher)
			two.answers(http.StatusOK)
			w.shows(watcher, healthy("jarvis-1", "10.0.0.2:8080"), healthy("jarvis-2", "10.0.0.3:8080"))
		})
	}
}

func TestIPv4GoesFirst(t *testing.T) {
	w := newWorld(t)
	w.resolve("fd00::2", "10.0.0.2")
	w.start("10.0.0.2", "jarvis-1")
	w.start("fd00::2", "jarvis-1")
	watcher := w.watch()
	require.Equal(t, []endpoints.Endpoint{healthy("jarvis-1", "10.0.0.2:8080")}, watcher.Current().Endpoints)

	w = newWorld(t)
	w.resolve("fd00::2")
	w.start("fd00::2", "jarvis-1")
	watcher = w.watch()
	require.Equal(t, []endpoints.Endpoint{healthy("jarvis-1", "[fd00::2]:8080")}, watcher.Current().Endpoints)
}
