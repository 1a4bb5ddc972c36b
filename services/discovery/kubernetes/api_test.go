package kubernetes_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

var resource = schema.GroupResource{Group: discoveryv1.GroupName, Resource: "endpointslices"}

// api is an API server that knows the EndpointSlices of one Service: list, watch, and a watch that begins with a list.
type api struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	version int
	slices  map[string]*discoveryv1.EndpointSlice
	// log is every event so far, each at its version.
	log []watch.Event
	// grown is closed when log has grown, or watches are to end.
	grown chan struct{}
	// epoch counts how often watches were cut; forgotten is the version up to which the log is lost.
	epoch, forgotten int
	forbidden        map[string]bool
	lists, watches   int
	streaming        bool
}

func startAPI(t *testing.T) *api {
	t.Helper()
	a := &api{t: t, slices: map[string]*discoveryv1.EndpointSlice{}, grown: make(chan struct{}), forbidden: map[string]bool{}, version: 1}
	a.server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(func() {
		a.server.CloseClientConnections()
		a.server.Close()
	})
	return a
}

func (a *api) config() *rest.Config { return &rest.Config{Host: a.server.URL} }

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/dev/endpointslices" ||
		query.Get("labelSelector") != "kubernetes.io/service-name=jarvis-service" {
		a.refuse(w, apierrors.NewBadRequest(r.URL.String()))
		return
	}
	verb := "list"
	if query.Get("watch") != "" {
		verb = "watch"
	}
	a.mu.Lock()
	no := a.forbidden[verb]
	streaming := a.streaming
	a.mu.Unlock()
	switch {
	case no:
		a.refuse(w, apierrors.NewForbidden(resource, "", fmt.Errorf("User %q cannot %s", "system:serviceaccount:dev:smaran-v2", verb)))
	case verb == "list":
		a.list(w)
	case query.Get("sendInitialEvents") == "true" && !streaming:
		a.refuse(w, apierrors.NewInvalid(schema.GroupKind{Group: "meta.k8s.io", Kind: "ListOptions"}, "", nil))
	default:
		a.watch(w, r)
	}
}

func (a *api) refuse(w http.ResponseWriter, err *apierrors.StatusError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(err.ErrStatus.Code))
	err.ErrStatus.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	_ = json.NewEncoder(w).Encode(err.ErrStatus)
}

func (a *api) list(w http.ResponseWriter) {
	a.mu.Lock()
	a.lists++
	list := discoveryv1.EndpointSliceList{
		TypeMeta: metav1.TypeMeta{Kind: "EndpointSliceList", APIVersion: "discovery.k8s.io/v1"},
		ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(a.version)},
	}
	for _, name := range slices.Sorted(maps.Keys(a.slices)) {
		list.Items = append(list.Items, *a.slices[name])
	}
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list)
}

func (a *api) watch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	send := func(kind watch.EventType, o runtime.Object) {
		raw, err := json.Marshal(o)
		if err == nil {
			_ = json.NewEncoder(w).Encode(metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: raw}})
		}
		w.(http.Flusher).Flush()
	}
	query := r.URL.Query()
	from, _ := strconv.Atoi(query.Get("resourceVersion"))
	a.mu.Lock()
	a.watches++
	epoch, forgotten := a.epoch, a.forgotten
	if from == 0 {
		from = a.version
	}
	var initial []*discoveryv1.EndpointSlice
	if query.Get("sendInitialEvents") == "true" {
		initial, from = slices.Collect(maps.Values(a.slices)), a.version
	}
	a.mu.Unlock()
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	if from < forgotten {
		gone := apierrors.NewResourceExpired("too old resource version").ErrStatus
		gone.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		send(watch.Error, &gone)
		return
	}
	for _, s := range initial {
		send(watch.Added, s)
	}
	if query.Get("sendInitialEvents") == "true" {
		send(watch.Bookmark, &discoveryv1.EndpointSlice{
			TypeMeta: metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1"},
			ObjectMeta: metav1.ObjectMeta{
				ResourceVersion: strconv.Itoa(from), Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
			},
		})
	}
	for next := from; ; {
		a.mu.Lock()
		grown, cut := a.grown, a.epoch != epoch
		var events []watch.Event
		for _, e := range a.log {
			if v, _ := strconv.Atoi(e.Object.(*discoveryv1.EndpointSlice).ResourceVersion); v > next {
				events = append(events, e)
				next = v
			}
		}
		a.mu.Unlock()
		for _, e := range events {
			send(e.Type, e.Object)
		}
		if cut {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-grown:
		}
	}
}

// put creates or replaces a slice.
func (a *api) put(name string, edit func(*discoveryv1.EndpointSlice)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	kind := watch.Modified
	if a.slices[name] == nil {
		kind = watch.Added
	}
	a.version++
	s := &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "dev", ResourceVersion: strconv.Itoa(a.version),
			Labels: map[string]string{discoveryv1.LabelServiceName: "jarvis-service"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	edit(s)
	a.slices[name] = s
	a.event(kind, s)
}

func (a *api) remove(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	s := a.slices[name].DeepCopy()
	s.ResourceVersion = strconv.Itoa(a.version)
	delete(a.slices, name)
	a.event(watch.Deleted, s)
}

func (a *api) event(kind watch.EventType, s *discoveryv1.EndpointSlice) {
	a.log = append(a.log, watch.Event{Type: kind, Object: s})
	close(a.grown)
	a.grown = make(chan struct{})
}

// cut ends every watch. If the log is forgotten too, one that asks for an old version is told that it expired.
func (a *api) cut(forget bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.epoch++
	if forget {
		a.version++
		a.forgotten, a.log = a.version, nil
	}
	close(a.grown)
	a.grown = make(chan struct{})
}

func (a *api) forbid(verb string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forbidden[verb] = true
}

func (a *api) counted() (lists, watches int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lists, a.watches
}

func requireOneLine(t *testing.T, err error) {
	t.Helper()
	require.False(t, strings.Contains(err.Error(), "\n"), err.Error())
}
