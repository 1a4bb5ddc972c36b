package cluster_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// api is an API server with the Deployments jarvis, smaran-v2 and redis, and what a cluster makes of them: pods that are ready at once, and
// the slice that lists them. A watch is told of everything at once.
type api struct {
	t      *testing.T
	server *httptest.Server

	mu          sync.Mutex
	version     int
	deployments map[string]*appsv1.Deployment
	pods        map[string]*corev1.Pod
	made        int
	log         []change
	grown       chan struct{}
	forbidden   string
	// asked are the changes, in the API server's words.
	asked []string
	// read are the Deployments that were read.
	read []string
}

type change struct {
	version int
	kind    watch.EventType
	object  runtime.Object
}

func startAPI(t *testing.T, pods int32) *api {
	t.Helper()
	a := &api{t: t, version: 1, deployments: map[string]*appsv1.Deployment{}, pods: map[string]*corev1.Pod{}, grown: make(chan struct{})}
	for name, n := range map[string]int32{"jarvis": pods, "smaran-v2": 1, "redis": 1} {
		a.deployments[name] = &appsv1.Deployment{
			TypeMeta: metav1.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"}, ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: appsv1.DeploymentSpec{Replicas: ptr.To(n)},
		}
		a.reconcile(name)
	}
	a.server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(func() {
		a.server.CloseClientConnections()
		a.server.Close()
	})
	return a
}

func (a *api) config() *rest.Config { return &rest.Config{Host: a.server.URL} }

// forbid refuses a change whose words contain text.
func (a *api) forbid(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forbidden = text
}

func (a *api) changes() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

func (a *api) reads() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.read)
}

// names of an app's pods.
func (a *api) names(app string) (out []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(a.pods)) {
		if a.pods[name].Labels["app"] == app {
			out = append(out, name)
		}
	}
	return out
}

const namespaced = "/namespaces/dev/"

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	_, path, _ := strings.Cut(r.URL.Path, namespaced)
	if r.Method != http.MethodGet {
		body, _ := io.ReadAll(r.Body)
		a.write(w, r, path, string(body))
		return
	}
	if name, found := strings.CutPrefix(path, "deployments/"); found {
		a.mu.Lock()
		a.read = append(a.read, name)
		d := a.deployments[name].DeepCopy()
		a.mu.Unlock()
		reply(w, d)
		return
	}
	a.follow(w, r, path)
}

func reply(w http.ResponseWriter, o any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(o)
}

func (a *api) write(w http.ResponseWriter, r *http.Request, path, body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := r.Method + " " + path
	a.asked = append(a.asked, asked+" "+strings.TrimSpace(body))
	kind, name, _ := strings.Cut(path, "/")
	refuse := func(err *apierrors.StatusError) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(err.ErrStatus.Code))
		err.ErrStatus.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		_ = json.NewEncoder(w).Encode(err.ErrStatus)
	}
	if a.forbidden != "" && strings.Contains(asked, a.forbidden) {
		refuse(apierrors.NewForbidden(schema.GroupResource{Resource: kind}, name, fmt.Errorf("the stage may not")))
		return
	}
	switch {
	case kind == "pods" && r.Method == http.MethodDelete:
		p := a.pods[name]
		if p == nil {
			refuse(apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name))
			return
		}
		a.drop(name)
		a.reconcile(p.Labels["app"])
		reply(w, p)
	case strings.HasSuffix(name, "/scale"):
		var patch struct{ Spec struct{ Replicas int32 } }
		require.NoError(a.t, json.Unmarshal([]byte(body), &patch))
		name = strings.TrimSuffix(name, "/scale")
		a.deployments[name].Spec.Replicas = ptr.To(patch.Spec.Replicas)
		a.reconcile(name)
		reply(w, a.deployments[name])
	default: // a restart: all new, then none old
		var old []string
		for n, p := range a.pods {
			if p.Labels["app"] == name {
				old = append(old, n)
			}
		}
		for range old {
			a.create(name)
		}
		for _, n := range old {
			a.drop(n)
		}
		a.reslice()
		reply(w, a.deployments[name])
	}
}

// reconcile makes and removes pods until there are as many as there should be.
func (a *api) reconcile(app string) {
	var have []string
	for name, p := range a.pods {
		if p.Labels["app"] == app {
			have = append(have, name)
		}
	}
	slices.Sort(have)
	n := int(*a.deployments[app].Spec.Replicas)
	for i := len(have); i < n; i++ {
		a.create(app)
	}
	for i := n; i < len(have); i++ {
		a.drop(have[i])
	}
	a.reslice()
}

func (a *api) create(app string) {
	a.made++
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%02d", app, a.made), Namespace: "dev", Labels: map[string]string{"app": app},
			CreationTimestamp: metav1.Unix(int64(a.made), 0)},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: strings.TrimSuffix(app, "-v2"),
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}},
		Status: corev1.PodStatus{PodIP: fmt.Sprintf("10.0.0.%d", a.made), Phase: corev1.PodRunning,
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: app, RestartCount: 2}}},
	}
	if app == "smaran-v2" {
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "SMARAN_BACKEND", Value: "handoff"}}
	}
	a.pods[p.Name] = p
	a.tell(watch.Added, p)
}

// scale has an app be of so many pods.
func (a *api) scale(app string, n int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.deployments[app].Spec.Replicas = ptr.To(n)
	a.reconcile(app)
}

// edit changes a pod, as the kubelet does.
func (a *api) edit(name string, do func(*corev1.Pod)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.pods[name].DeepCopy()
	do(p)
	a.pods[name] = p
	a.tell(watch.Modified, p)
}

func (a *api) drop(name string) {
	p := a.pods[name]
	delete(a.pods, name)
	a.tell(watch.Deleted, p)
}

func (a *api) slice() *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1"},
		ObjectMeta: metav1.ObjectMeta{Name: "jarvis-service-1", Namespace: "dev",
			Labels: map[string]string{discoveryv1.LabelServiceName: "jarvis-service"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](8080)}},
	}
	for _, name := range slices.Sorted(maps.Keys(a.pods)) {
		if p := a.pods[name]; p.Labels["app"] == "jarvis" {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{p.Status.PodIP},
				TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: name}})
		}
	}
	return s
}

func (a *api) reslice() { a.tell(watch.Modified, a.slice()) }

func (a *api) tell(kind watch.EventType, o runtime.Object) {
	a.version++
	o = o.DeepCopyObject()
	o.(metav1.Object).SetResourceVersion(strconv.Itoa(a.version))
	a.log = append(a.log, change{a.version, kind, o})
	close(a.grown)
	a.grown = make(chan struct{})
}

// follow answers a list, or a watch until the client leaves it.
func (a *api) follow(w http.ResponseWriter, r *http.Request, path string) {
	query := r.URL.Query()
	a.mu.Lock()
	at := a.version
	var list any
	if path == "pods" {
		l := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(at)}}
		for _, p := range a.pods {
			l.Items = append(l.Items, *p)
		}
		list = l
	} else {
		list = discoveryv1.EndpointSliceList{TypeMeta: metav1.TypeMeta{Kind: "EndpointSliceList", APIVersion: "discovery.k8s.io/v1"},
			ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(at)}, Items: []discoveryv1.EndpointSlice{*a.slice()}}
	}
	a.mu.Unlock()
	if query.Get("watch") == "" {
		reply(w, list)
		return
	}
	if query.Get("sendInitialEvents") == "true" { // what older servers say
		invalid := apierrors.NewInvalid(schema.GroupKind{Group: "meta.k8s.io", Kind: "ListOptions"}, "", nil)
		invalid.ErrStatus.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(invalid.ErrStatus)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	next, _ := strconv.Atoi(query.Get("resourceVersion"))
	for {
		a.mu.Lock()
		grown := a.grown
		var events []change
		for _, c := range a.log {
			if _, isPod := c.object.(*corev1.Pod); c.version > next && isPod == (path == "pods") {
				events = append(events, c)
				next = c.version
			}
		}
		a.mu.Unlock()
		for _, c := range events {
			raw, _ := json.Marshal(c.object)
			_ = json.NewEncoder(w).Encode(metav1.WatchEvent{Type: string(c.kind), Object: runtime.RawExtension{Raw: raw}})
		}
		w.(http.Flusher).Flush()
		select {
		case <-grown:
		case <-r.Context().Done():
			return
		}
	}
}
