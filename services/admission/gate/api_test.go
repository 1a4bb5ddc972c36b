package gate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/smaran-v2/smaran/services/admission/gate"
)

// What is asked is what jarvis' Role allows, in the API server's own words.
func TestTheServerIsAskedForWhatTheRoleAllows(t *testing.T) {
	var asked []string
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type")))
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		reply := func(status int, v any) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(v)
		}
		switch r.URL.Path {
		case "/api/v1/namespaces/dev/services/jarvis-service":
			reply(http.StatusOK, corev1.Service{TypeMeta: metav1.TypeMeta{Kind: "Service", APIVersion: "v1"},
				Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "jarvis"}}})
		case "/api/v1/namespaces/dev/pods":
			reply(http.StatusOK, corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"},
				Items: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "b"}}}})
		case "/apis/coordination.k8s.io/v1/namespaces/dev/leases/gone":
			reply(http.StatusNotFound, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
				Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound})
		case "/apis/coordination.k8s.io/v1/namespaces/dev/leases/taken":
			reply(http.StatusConflict, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
				Status: metav1.StatusFailure, Reason: metav1.StatusReasonConflict, Code: http.StatusConflict})
		default:
			_, _ = w.Write(body)
		}
	}))
	defer server.Close()
	s, err := gate.NewServer(&rest.Config{Host: server.URL}, "dev", time.Second)
	require.NoError(t, err)
	defer s.Close()
	ctx := t.Context()

	service, err := s.Service(ctx, "jarvis-service")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"app": "jarvis"}, service.Spec.Selector)
	pods, err := cache.ToListerWithContext(s.Pods("app=jarvis")).ListWithContext(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, "b", pods.(*corev1.PodList).Items[0].Name)
	require.NoError(t, s.PatchPodStatus(ctx, "b", []byte(`{"status":{}}`)))
	require.JSONEq(t, `{"status":{}}`, string(body))
	_, err = s.Lease(ctx, "gone")
	require.True(t, apierrors.IsNotFound(err), err)
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "taken", ResourceVersion: "7"}}
	created, err := s.CreateLease(ctx, lease)
	require.NoError(t, err)
	require.Equal(t, "7", created.ResourceVersion)
	require.Contains(t, string(body), `"kind":"Lease"`)
	_, err = s.UpdateLease(ctx, lease)
	require.True(t, apierrors.IsConflict(err), err)

	const leases = "/apis/coordination.k8s.io/v1/namespaces/dev/leases"
	require.Equal(t, []string{
		"GET /api/v1/namespaces/dev/services/jarvis-service ",
		"GET /api/v1/namespaces/dev/pods?labelSelector=app%3Djarvis ",
		"PATCH /api/v1/namespaces/dev/pods/b/status?fieldManager=jarvis-admission application/strategic-merge-patch+json",
		"GET " + leases + "/gone?timeout=1s ",
		"POST " + leases + "?timeout=1s application/json",
		"PUT " + leases + "/taken?timeout=1s application/json",
	}, asked)
}
