package kubernetes_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
	"github.com/smaran-v2/smaran/services/endpoints"
)

const (
	// wait covers client-go's pause after a watch that failed.
	wait  = 20 * time.Second
	pause = 5 * time.Millisecond
)

var service = kubernetes.Service{Namespace: "dev", Name: "jarvis-service", Port: "http"}

func follow(t *testing.T, a *api) *kubernetes.Watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w, err := kubernetes.Watch(ctx, a.config(), service, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		cancel()
		if w != nil {
			<-w.Done()
		}
	})
	require.NoError(t, err)
	return w
}

// of makes a slice of endpoints behind port http 8080.
func of(list ...discoveryv1.Endpoint) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) {
		s.Ports = []discoveryv1.EndpointPort{
			{Name: ptr.To("admin"), Port: ptr.To[int32](9090), Protocol: ptr.To(corev1.ProtocolTCP)},
			{Name: ptr.To("http"), Port: ptr.To[int32](8080), Protocol: ptr.To(corev1.ProtocolTCP)},
		}
		s.Endpoints = list
	}
}

func of6(list ...discoveryv1.Endpoint) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) {
		of(list...)(s)
		s.AddressType = discoveryv1.AddressTypeIPv6
	}
}

// at is a pod's endpoint. The conditions are ready, serving, terminating; fewer are left out.
func at(pod, address string, conditions ...bool) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{address}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod}}
	for i, to := range []**bool{&e.Conditions.Ready, &e.Conditions.Serving, &e.Conditions.Terminating} {
		if i < len(conditions) {
			*to = &conditions[i]
		}
	}
	return e
}

func up(pod, address string) endpoints.Endpoint {
	return endpoints.Endpoint{Pod: pod, Address: address, Health: endpoints.Healthy}
}

func leaving(pod, address string) endpoints.Endpoint {
	return endpoints.Endpoint{Pod: pod, Address: address, Health: endpoints.Draining}
}

func shows(t *testing.T, w *kubernetes.Watcher, want ...endpoints.Endpoint) {
	t.Helper()
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		changed := w.Changed()
		got := w.Current().Endpoints
		if slices.Equal(want, got) {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			require.Equal(t, want, got)
		}
	}
}

func TestWhatSlicesSay(t *testing.T) {
	for name, c := range map[string]struct {
		slices []func(*discoveryv1.EndpointSlice)
		want   []endpoints.Endpoint
	}{
		"none":  {},
		"empty": {slices: []func(*discoveryv1.EndpointSlice){of()}},
		"conditions": {
			slices: []func(*discoveryv1.EndpointSlice){of(
				at("unsaid", "10.0.0.9"), at("ready", "10.0.0.10", true, true, false), at("loading", "10.0.0.3", false, false, false),
				at("draining", "10.0.0.4", false, true, true), at("dying", "10.0.0.5", false, false, true),
			)},
			want: []endpoints.Endpoint{leaving("draining", "10.0.0.4:8080"), up("unsaid", "10.0.0.9:8080"), up("ready", "10.0.0.10:8080")},
		},
		"several": {
			slices: []func(*discoveryv1.EndpointSlice){of(at("b", "10.0.0.2")), of(at("a", "10.0.0.1"))},
			want:   []endpoints.Endpoint{up("a", "10.0.0.1:8080"), up("b", "10.0.0.2:8080")},
		},
		"twice while it moves between slices": {
			slices: []func(*discoveryv1.EndpointSlice){of(at("a", "10.0.0.1")), of(at("a", "10.0.0.1"))},
			want:   []endpoints.Endpoint{up("a", "10.0.0.1:8080")},
		},
		"twice, and one copy is old": {
			slices: []func(*discoveryv1.EndpointSlice){of(at("a", "10.0.0.1", true, true, false)), of(at("a", "10.0.0.1", false, true, true))},
			want:   []endpoints.Endpoint{leaving("a", "10.0.0.1:8080")},
		},
		"an address that another pod got": {
			slices: []func(*discoveryv1.EndpointSlice){of(at("a", "10.0.0.1", false, true, true)), of(at("b", "10.0.0.1", true, true, false))},
			want:   []endpoints.Endpoint{up("b", "10.0.0.1:8080")},
		},
		"two families": {
			slices: []func(*discoveryv1.EndpointSlice){
				of6(at("a", "fd00::1"), at("b", "fd00::2")), of(at("a", "10.0.0.1"), at("b", "10.0.0.2")),
			},
			want: []endpoints.Endpoint{up("a", "10.0.0.1:8080"), up("b", "10.0.0.2:8080")},
		},
		"two families, and the IPv4 slice is old": {
			slices: []func(*discoveryv1.EndpointSlice){of6(at("a", "fd00::1", false, true, true)), of(at("a", "10.0.0.1", true, true, false))},
			want:   []endpoints.Endpoint{leaving("a", "10.0.0.1:8080")},
		},
		"two families, and the IPv6 slice is old": {
			slices: []func(*discoveryv1.EndpointSlice){of6(at("a", "fd00::1", true, true, false)), of(at("a", "10.0.0.1", false, true, true))},
			want:   []endpoints.Endpoint{leaving("a", "10.0.0.1:8080")},
		},
		"IPv6 alone": {
			slices: []func(*discoveryv1.EndpointSlice){of6(at("a", "fd00::1"))},
			want:   []endpoints.Endpoint{up("a", "[fd00::1]:8080")},
		},
		"names, and other ports": {
			slices: []func(*discoveryv1.EndpointSlice){of(at("a", "pod.example")), func(s *discoveryv1.EndpointSlice) {
				of(at("b", "10.0.0.2"))(s)
				s.Ports = s.Ports[:1]
			}},
		},
		"endpoints that are no pods": {
			slices: []func(*discoveryv1.EndpointSlice){of(
				discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}}, discoveryv1.Endpoint{Addresses: []string{"10.0.0.2"}},
			)},
			want: []endpoints.Endpoint{up("", "10.0.0.1:8080"), up("", "10.0.0.2:8080")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := startAPI(t)
			for i, s := range c.slices {
				a.put("jarvis-service-"+string(rune('a'+i)), s)
			}
			w := follow(t, a)
			require.Len(t, w.Current().Endpoints, len(c.want), "the list is there at the start: %v", w.Current())
			shows(t, w, c.want...)
		})
	}
}

func TestSlicesAreFollowed(t *testing.T) {
	for name, streaming := range map[string]bool{"list and watch": false, "a watch that begins with a list": true} {
		t.Run(name, func(t *testing.T) {
			a := startAPI(t)
			a.streaming = streaming
			a.put("one", of(at("a", "10.0.0.1")))
			w := follow(t, a)
			require.Equal(t, endpoints.Set{Version: "1", Endpoints: []endpoints.Endpoint{up("a", "10.0.0.1:8080")}}, w.Current())
			a.put("one", of(at("a", "10.0.0.1", false, true, true), at("b", "10.0.0.2")))
			shows(t, w, leaving("a", "10.0.0.1:8080"), up("b", "10.0.0.2:8080"))
			a.put("two", of(at("c", "10.0.0.3")))
			shows(t, w, leaving("a", "10.0.0.1:8080"), up("b", "10.0.0.2:8080"), up("c", "10.0.0.3:8080"))
			a.remove("one")
			shows(t, w, up("c", "10.0.0.3:8080"))
			require.Equal(t, "4", w.Current().Version)
		})
	}
}

func TestAWatchThatBreaksIsResumed(t *testing.T) {
	a := startAPI(t)
	a.put("one", of(at("a", "10.0.0.1")))
	w := follow(t, a)
	a.put("one", of(at("a", "10.0.0.1"), at("b", "10.0.0.2")))
	shows(t, w, up("a", "10.0.0.1:8080"), up("b", "10.0.0.2:8080"))
	lists, _ := a.counted()
	a.cut(false)
	a.put("one", of(at("b", "10.0.0.2")))
	shows(t, w, up("b", "10.0.0.2:8080"))
	after, _ := a.counted()
	require.Equal(t, lists, after, "from where it broke")
}

func TestAnExpiredWatchStartsAnew(t *testing.T) {
	a := startAPI(t)
	a.put("one", of(at("a", "10.0.0.1")))
	w := follow(t, a)
	a.put("one", of(at("b", "10.0.0.2")))
	shows(t, w, up("b", "10.0.0.2:8080"))
	lists, _ := a.counted()
	a.cut(true)
	require.Eventually(t, func() bool { now, _ := a.counted(); return now > lists }, wait, pause, "410 Gone leads to a new list")
	a.put("one", of(at("c", "10.0.0.3")))
	shows(t, w, up("c", "10.0.0.3:8080"))
}

func TestAMissingVerbIsNamedAtTheStart(t *testing.T) {
	for _, verb := range []string{"list", "watch"} {
		t.Run(verb, func(t *testing.T) {
			a := startAPI(t)
			a.forbid(verb)
			_, err := kubernetes.Watch(t.Context(), a.config(), service, slog.New(slog.DiscardHandler))
			require.ErrorIs(t, err, kubernetes.ErrForbidden)
			require.ErrorContains(t, err, "not allowed to "+verb)
			require.ErrorContains(t, err, "verbs [list, watch]", "what to grant")
			require.ErrorContains(t, err, "namespace dev")
			require.ErrorContains(t, err, "system:serviceaccount:dev:smaran-v2", "to whom")
			requireOneLine(t, err)
		})
	}
}

func TestAnUnreachableServerIsAnErrorAfterAWhile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var tries atomic.Int32
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if tries.Add(1) > 1 { // the first has had its answer
			cancel()
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	_, err := kubernetes.Watch(ctx, &rest.Config{Host: "http://127.0.0.1:1", Dial: dial}, service, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, kubernetes.ErrUnreachable)
	require.ErrorContains(t, err, "refused")
	requireOneLine(t, err)
}

func TestOutsideACluster(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := kubernetes.InCluster()
	require.ErrorIs(t, err, kubernetes.ErrNoCluster)
	requireOneLine(t, err)
}

// TestAPodThatIsNotReadyIsNotInRotation: as one whose readiness gate is shut. Once knows its place all the same.
func TestAPodThatIsNotReadyIsNotInRotation(t *testing.T) {
	a := startAPI(t)
	a.put("one", of(at("c", "10.0.0.3"), at("a", "10.0.0.10")))
	w := follow(t, a)
	listed, told := w.Changed(), w.Told()
	a.put("two", of(at("b", "10.0.0.9", false, false, false), at("d", "10.0.0.1", false, true, true), at("e", "10.0.0.2", false, false, true)))
	shows(t, w, leaving("d", "10.0.0.1:8080"), up("c", "10.0.0.3:8080"), up("a", "10.0.0.10:8080"))
	<-listed
	<-told
	expected := w.Once("b", "d", "e", "no-such")
	require.Equal(t, []endpoints.Endpoint{leaving("d", "10.0.0.1:8080"), up("c", "10.0.0.3:8080"), up("b", "10.0.0.9:8080"), up("a", "10.0.0.10:8080")},
		expected, "in its place, and none that terminates")
	require.Equal(t, w.Current().Endpoints, w.Once())

	a.put("two", of(at("b", "10.0.0.9", true, true, false), at("d", "10.0.0.1", false, true, true), at("e", "10.0.0.2", false, false, true)))
	shows(t, w, expected...)
}

func TestPodsThatAreNotReadyAreToldOf(t *testing.T) {
	a := startAPI(t)
	a.put("one", of(at("a", "10.0.0.1")))
	w := follow(t, a)
	listed, told := w.Changed(), w.Told()
	a.put("two", of(at("b", "10.0.0.2", false, false, false)))
	<-told
	require.Len(t, w.Once("b"), 2)
	select {
	case <-listed:
		t.Fatal("the list is the same")
	default:
	}
}
