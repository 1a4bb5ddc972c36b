package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/admission"
	"github.com/smaran-v2/smaran/services/admission/gate"
	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	condition = "example.dev/admitted"
	namespace = "dev"
	// hang bounds what should take milliseconds, and pause is between two looks.
	hang  = 30 * time.Second
	pause = 5 * time.Millisecond
)

var podResource = corev1.SchemeGroupVersion.WithResource("pods")

// election is tried for often, and won for longer than a test takes: nobody loses it because the machine is busy.
var election = gate.Election{Lease: "jarvis-admission", Duration: 2 * hang, Renewal: hang, Retry: 50 * time.Millisecond,
	Labels: map[string]string{"of": "a test"}, Clock: clockwork.NewRealClock()}

// pauses is a clock that tells of each timer that somebody waits for. What bounds a call is none.
type pauses struct {
	*clockwork.FakeClock
	begun chan struct{}
}

func newPauses() pauses { return pauses{clockwork.NewFakeClock(), make(chan struct{}, 1000)} }

func (p pauses) NewTimer(d time.Duration) clockwork.Timer {
	timer := p.FakeClock.NewTimer(d)
	p.begun <- struct{}{}
	return timer
}

// api is client-go's double of an API server.
type api struct{ client *fake.Clientset }

func (a api) Service(ctx context.Context, name string) (*corev1.Service, error) {
	return a.client.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (a api) Pods(selector string) cache.ListerWatcher {
	pods := a.client.CoreV1().Pods(namespace)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			return pods.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			return pods.Watch(ctx, o)
		},
	}, a.client)
}

func (a api) PatchPodStatus(ctx context.Context, pod string, patch []byte) error {
	_, err := a.client.CoreV1().Pods(namespace).Patch(ctx, pod, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

func (a api) Lease(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	return a.client.CoordinationV1().Leases(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (a api) CreateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return a.client.CoordinationV1().Leases(namespace).Create(ctx, lease, metav1.CreateOptions{})
}

func (a api) UpdateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return a.client.CoordinationV1().Leases(namespace).Update(ctx, lease, metav1.UpdateOptions{})
}

// cluster is an API server with the Service jarvis-service, and its control plane's list of pods, which the test keeps.
type cluster struct {
	t      *testing.T
	ctx    context.Context
	client *fake.Clientset
	clock  pauses
	list   *list
	// election is what start stands for.
	election gate.Election
	// watching is closed once changes of pods are seen.
	watching chan struct{}

	mu      sync.Mutex
	patches []string
	// refuse may fail a patch.
	refuse func(pod string) error
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	t.Cleanup(cancel)
	c := &cluster{t: t, ctx: ctx, clock: newPauses(), list: &list{told: make(chan struct{})}, election: election,
		watching: make(chan struct{}), client: fake.NewClientset(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "jarvis-service"},
			Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "jarvis"}}})}
	var once sync.Once
	c.client.PrependWatchReactor("pods", func(action k8stesting.Action) (bool, watch.Interface, error) {
		w, err := c.client.Tracker().Watch(podResource, action.GetNamespace())
		once.Do(func() { close(c.watching) })
		return true, w, err
	})
	c.client.PrependReactor("patch", "pods", func(action k8stesting.Action) (bool, runtime.Object, error) {
		err := c.checked(action.(k8stesting.PatchAction))
		return err != nil, nil, err
	})
	return c
}

// checked is what the API server would say to a patch: it heeds the uid in it.
func (c *cluster) checked(action k8stesting.PatchAction) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.patches = append(c.patches, action.GetName())
	if action.GetSubresource() != "status" {
		return errors.New("jarvis may patch pods/status alone")
	}
	if c.refuse != nil {
		if err := c.refuse(action.GetName()); err != nil {
			return err
		}
	}
	var patch struct{ Metadata struct{ UID types.UID } }
	if err := json.Unmarshal(action.GetPatch(), &patch); err != nil {
		return err
	}
	found, err := c.client.Tracker().Get(podResource, namespace, action.GetName())
	if err != nil {
		return err
	}
	if found.(*corev1.Pod).UID != patch.Metadata.UID {
		return apierrors.NewConflict(podResource.GroupResource(), action.GetName(), errors.New("another uid"))
	}
	return nil
}

func (c *cluster) patched() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.patches)
}

// start runs the pod self's part. The stop that it returns waits for its end.
func (c *cluster) start(self string) (stop func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.ctx)
	transport := &http.Transport{}
	over := make(chan error, 1)
	go func() {
		over <- gate.Run(ctx, gate.Options{
			Gate: condition, Service: kubernetes.Service{Namespace: namespace, Name: "jarvis-service", Port: "http"},
			Self: self, Election: c.election, Endpoints: c.list,
			Prepare: admission.Preparer{HTTP: &http.Client{Transport: transport}, Clock: c.clock},
			API:     api{c.client}, Clock: c.clock, Log: slog.New(slog.DiscardHandler),
		})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(c.t, <-over)
		transport.CloseIdleConnections()
	})
	c.t.Cleanup(stop)
	return stop
}

// started has the pod self admit, and waits until it sees what pods do.
func (c *cluster) started(self string) (stop func()) {
	c.t.Helper()
	stop = c.start(self)
	select {
	case <-c.watching:
	case <-c.ctx.Done():
		c.t.Fatal("nobody watches the pods")
	}
	return stop
}

// pod makes one with the gate, whose containers are ready or not.
func (c *cluster) pod(name string, ready bool, change ...func(*corev1.Pod)) {
	c.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name + "-1"), Labels: map[string]string{"app": "jarvis"}},
		Spec:       corev1.PodSpec{ReadinessGates: []corev1.PodReadinessGate{{ConditionType: condition}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{status(corev1.ContainersReady, ready)}},
	}
	for _, f := range change {
		f(pod)
	}
	_, err := c.client.CoreV1().Pods(namespace).Create(c.ctx, pod, metav1.CreateOptions{})
	require.NoError(c.t, err)
}

func status(condition corev1.PodConditionType, is bool) corev1.PodCondition {
	s := corev1.ConditionFalse
	if is {
		s = corev1.ConditionTrue
	}
	return corev1.PodCondition{Type: condition, Status: s}
}

// ready has the pod's containers become ready.
func (c *cluster) ready(name string) {
	c.t.Helper()
	pod := c.get(name)
	pod.Status.Conditions = []corev1.PodCondition{status(corev1.ContainersReady, true)}
	_, err := c.client.CoreV1().Pods(namespace).UpdateStatus(c.ctx, pod, metav1.UpdateOptions{})
	require.NoError(c.t, err)
}

func (c *cluster) get(name string) *corev1.Pod {
	c.t.Helper()
	pod, err := c.client.CoreV1().Pods(namespace).Get(c.ctx, name, metav1.GetOptions{})
	require.NoError(c.t, err)
	return pod
}

func (c *cluster) remove(name string) {
	c.t.Helper()
	require.NoError(c.t, c.client.CoreV1().Pods(namespace).Delete(c.ctx, name, metav1.DeleteOptions{}))
}

// admitted is the pod's condition, if that is True.
func (c *cluster) admitted(name string) *corev1.PodCondition {
	c.t.Helper()
	for _, found := range c.get(name).Status.Conditions {
		if found.Type == condition && found.Status == corev1.ConditionTrue {
			return &found
		}
	}
	return nil
}

func (c *cluster) await(what string, is func() bool) {
	c.t.Helper()
	require.Eventually(c.t, is, hang, pause, what)
}

func (c *cluster) awaitAdmitted(names ...string) {
	c.t.Helper()
	for _, name := range names {
		c.await("admission of "+name, func() bool { return c.admitted(name) != nil })
	}
}

// awaitTimer returns when what runs waits for the clock.
func (c *cluster) awaitTimer() {
	c.t.Helper()
	require.NoError(c.t, c.clock.BlockUntilContext(c.ctx, 1))
}

// awaitPause returns when another pause by the clock has begun.
func (c *cluster) awaitPause(clock pauses) {
	c.t.Helper()
	select {
	case <-clock.begun:
	case <-c.ctx.Done():
		c.t.Fatal("nobody waits for the clock")
	}
}

// list is the Service's slices, one a pod, read as package kubernetes does.
type list struct {
	mu     sync.Mutex
	slices []*discoveryv1.EndpointSlice
	told   chan struct{}
}

// put adds the pod's endpoint.
func (l *list) put(pod, address string, ready bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := netip.MustParseAddrPort(address)
	l.slices = append(l.slices, &discoveryv1.EndpointSlice{
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(at.Port()))}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{at.Addr().String()}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	})
	close(l.told)
	l.told = make(chan struct{})
}

func (l *list) Current() endpoints.Set { return endpoints.Set{Endpoints: l.Once()} }

func (l *list) Once(ready ...string) []endpoints.Endpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return kubernetes.Merge(l.slices, "http", ready...)
}

func (l *list) Told() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told
}

// peer is a pod in rotation.
type peer struct {
	jarvisv1connect.UnimplementedJarvisServiceHandler
	name string
	// asked are the rotations that it was to prepare for, by the pods' names. do may be nil; it is done before the answer.
	asked chan []string
	do    func(context.Context)
}

// inRotation adds a pod that was admitted before.
func (c *cluster) inRotation(name string, do func(context.Context)) *peer {
	c.t.Helper()
	p := &peer{name: name, asked: make(chan []string, 10), do: do}
	mux := http.NewServeMux()
	mux.Handle(jarvisv1connect.NewJarvisServiceHandler(p))
	server := httptest.NewServer(mux)
	c.t.Cleanup(server.Close)
	c.pod(name, true, func(p *corev1.Pod) { p.Status.Conditions = append(p.Status.Conditions, status(condition, true)) })
	c.list.put(name, strings.TrimPrefix(server.URL, "http://"), true)
	return p
}

func (p *peer) Prepare(ctx context.Context, req *connect.Request[jarvisv1.PrepareRequest]) (*connect.Response[jarvisv1.PrepareResponse], error) {
	var names []string
	for _, h := range req.Msg.GetHosts() {
		names = append(names, h.GetPod())
	}
	p.asked <- names
	if p.do != nil {
		p.do(ctx)
	}
	res := connect.NewResponse(&jarvisv1.PrepareResponse{Moving: 2, Sent: 2})
	res.Header().Set(wire.HeaderPod, p.name)
	return res, nil
}
