package fakecluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/smaran-v2/smaran/loadtest/internal/kube/node"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/proxies"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	app     = "jarvis"
	service = "jarvis-service"
)

// sliceVersion is what proxies are told.
type sliceVersion struct {
	at        time.Time
	addresses []string
}

// publish writes the EndpointSlice of the Service.
func (c *Cluster) publish(namespace string) {
	var list []any
	v := sliceVersion{at: time.Now()}
	for _, p := range c.podsOf(namespace, app) {
		ip, _, _ := unstructured.NestedString(p.Object, "status", "podIP")
		terminating := p.GetDeletionTimestamp() != nil
		ready := isReady(p) && !terminating
		list = append(list, map[string]any{
			"addresses":  []any{ip},
			"conditions": map[string]any{"ready": ready, "serving": isReady(p), "terminating": terminating},
			"targetRef":  map[string]any{"kind": "Pod", "name": p.GetName(), "namespace": namespace},
		})
		if ready {
			v.addresses = append(v.addresses, ip)
		}
	}
	c.slices = append(c.slices, v)
	c.put("endpointslices", namespace, map[string]any{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
		"metadata":  map[string]any{"name": service + "-1", "namespace": namespace, "labels": map[string]any{"kubernetes.io/service-name": service}},
		"ports":     []any{map[string]any{"name": "http", "port": int64(8080), "protocol": "TCP"}},
		"endpoints": list,
	})
}

// Signal implements node.Signaler. A process that is killed is started anew; one that is stopped goes on being ready.
func (c *Cluster) Signal(_ context.Context, to node.Container, s node.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := strings.TrimPrefix(to.ID, "containerd://")
	name := id[:strings.LastIndex(id, "-")]
	for _, namespace := range []string{"dev"} {
		p := c.get("pods", namespace, name)
		if p == nil {
			continue
		}
		if s == node.Kill {
			n := restarts(p) + 1
			c.setReady(p, n, false)
			c.after(Restart, func() { c.getReady(namespace, name) })
		}
		return nil
	}
	return fmt.Errorf("%w: no container %s", node.ErrNode, to.ID)
}

// ErrRefused is what a port where nothing listens answers.
var ErrRefused = errors.New("connection refused")

// AdminPort is where pods serve their metrics, as in deploy/base.
const AdminPort = 9090

// Revision is what pods say they were built from.
const Revision = "v1.2.3"

// metrics answers as smaran's and jarvis' admin port.
func metrics(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "# TYPE %[1]s gauge\n%[1]s{%[2]s=%[3]q} 1\n", wire.MetricBuildInfo, wire.LabelRevision, Revision)
}

// Dial connects to a port of a pod: its admin port, or its proxy's.
func (c *Cluster) Dial(_ context.Context, namespace, pod string, port int) (net.Conn, error) {
	handler := http.HandlerFunc(c.admin)
	switch port {
	case proxies.AdminPort:
	case AdminPort:
		handler = metrics
	default:
		return nil, ErrRefused
	}
	c.mu.Lock()
	known := c.get("pods", namespace, pod) != nil
	c.mu.Unlock()
	if !known {
		return nil, fmt.Errorf("%w: no pod %s", ErrRefused, pod)
	}
	ours, theirs := net.Pipe()
	l := &one{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conn <- theirs
	server := &http.Server{Handler: handler, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			_ = l.Close()
		}
	}}
	c.servers.Go(func() { _ = server.Serve(l) }) // ends with the connection
	return ours, nil
}

// one is a listener of one connection.
type one struct {
	conn   chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *one) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *one) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (*one) Addr() net.Addr { return &net.UnixAddr{Name: "envoy", Net: "pipe"} }

// admin answers as a sidecar's Envoy.
func (c *Cluster) admin(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.URL.Query().Get("resource") {
	case "dynamic_endpoint_configs":
		lb := []any{}
		for _, ip := range c.known() {
			lb = append(lb, map[string]any{
				"endpoint":      map[string]any{"address": map[string]any{"socket_address": map[string]any{"address": ip, "port_value": 8080}}},
				"health_status": "HEALTHY",
			})
		}
		answer(w, map[string]any{"endpoint_config": map[string]any{"endpoints": []any{map[string]any{"lb_endpoints": lb}}}})
	case "dynamic_active_clusters":
		answer(w, map[string]any{"cluster": map[string]any{"lb_policy": c.policy()}})
	case "dynamic_route_configs":
		host := map[string]any{"name": service + ".dev.svc.cluster.local:80"}
		if s := c.get("services", "dev", service); s != nil {
			if s.GetLabels()["istio.io/persistent-session"] != "" {
				host["session"] = "CookieBasedSessionState"
			} else if s.GetLabels()["istio.io/persistent-session-header"] != "" {
				host["session"] = "HeaderBasedSessionState"
			}
		}
		answer(w, map[string]any{"route_config": map[string]any{"virtual_hosts": []any{host}}})
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"version": "0/1.39.3/Clean"})
	}
}

func answer(w http.ResponseWriter, config map[string]any) {
	_ = json.NewEncoder(w).Encode(map[string]any{"configs": []any{config}})
}

// known are the hosts as proxies know them: those of a while ago.
func (c *Cluster) known() []string {
	var out []string
	for _, v := range c.slices {
		if time.Since(v.at) >= c.lag {
			out = v.addresses
		}
	}
	return out
}

// policy is what the DestinationRule asks for.
func (c *Cluster) policy() string {
	for _, d := range c.list("destinationrules", "dev") {
		lb, _, _ := unstructured.NestedMap(d.Object, "spec", "trafficPolicy", "loadBalancer", "consistentHash")
		if _, ok := lb["maglev"]; ok {
			return "MAGLEV"
		}
		if lb != nil {
			return "RING_HASH"
		}
	}
	return "LEAST_REQUEST"
}
