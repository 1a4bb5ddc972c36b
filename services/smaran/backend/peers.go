package backend

import (
	"net/http"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/wire"
)

// Peers is the way to one pod. It is the only place that makes a target of an address.
//
// Without a URL that is the address itself. Where a mesh refuses whoever does not come through it (STRICT mTLS), it is the mesh's
// URL of a Service that has Envoy's stateful session, and the cookie that the mesh would have made for the address. The mesh does not
// promise to heed it: a pod that is not among its endpoints, or that does not take the connection, is replaced by another one without
// a word. So look at who answered (Astray).
type Peers struct {
	// URL is scheme and authority; empty for none.
	URL string
}

// To is the target that a pod is by itself.
func (p Peers) To(pod, address string) Target {
	t := Target{BaseURL: p.URL, Pod: pod, Address: address}
	if p.URL == "" {
		t.BaseURL = "http://" + address
		return t
	}
	t.Header = http.Header{"Cookie": {wire.CookiePeer + `="` + affinity.EncodeCookie(address, 0) + `"`}}
	return t
}

// Direct is whether nothing stands between here and the pod.
func (p Peers) Direct() bool { return p.URL == "" }

// to is the target that an endpoint is by itself.
func (p Peers) to(e endpoints.Endpoint) Target { return p.To(e.Pod, e.Address) }
