// Package apiserver reaches a cluster's API server, one API group at a time: client-go's clientset, which knows all, would double the program.
// It follows what a group has; what else is asked of one is its users' business.
package apiserver

import (
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

// Group is the client of one API group.
type Group struct {
	*rest.RESTClient
	carrier *http.Client
}

// Open makes the client of a group whose resources the scheme knows. The timeout bounds a call; 0 is none, as a watch lasts. It asks nothing yet.
func Open(config *rest.Config, scheme *runtime.Scheme, group schema.GroupVersion, timeout time.Duration) (*Group, error) {
	c := rest.CopyConfig(config)
	c.APIPath, c.GroupVersion, c.Timeout = "/apis", &group, timeout
	if group.Group == "" { // the core's
		c.APIPath = "/api"
	}
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.QPS = -1 // no limit: whoever asks has pauses of its own
	c.UserAgent = rest.DefaultKubernetesUserAgent()
	carrier, err := rest.HTTPClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("client of the API server: %w", err)
	}
	client, err := rest.RESTClientForConfigAndClient(c, carrier)
	if err != nil {
		return nil, err
	}
	return &Group{RESTClient: client, carrier: carrier}, nil
}

// Close ends connections that nobody uses.
func (g *Group) Close() { utilnet.CloseIdleConnectionsFor(g.carrier.Transport) }
