// Package peers is the way to one pod, for whoever has chosen it: smaran, and a pod that hands sessions over. It chooses none.
package peers

import (
	"net/http"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/wire"
)

// Way is how one pod is reached. It is the only place that makes a target of an address.
//
// Without a URL that is the address itself. Where a mesh refuses whoever does not come through it (STRICT mTLS), it is the mesh's
// URL of a Service that has Envoy's stateful session, and the cookie that the mesh would have made for the address. The mesh does not
// promise to heed it: a pod that is not among its endpoints, or that does not take the connection, is replaced by another one without
// a word. So look at who answered.
type Way struct {
	// URL is scheme and authority; empty for none.
	URL string
}

// Target is where a request for one pod goes.
type Target struct {
	// BaseURL is scheme and authority: the pod's, or the mesh's.
	BaseURL string
	// Header is to be added to the request.
	Header http.Header
}

// To is the way to the pod at an address.
func (w Way) To(address string) Target {
	if w.URL == "" {
		return Target{BaseURL: "http://" + address}
	}
	return Target{BaseURL: w.URL, Header: http.Header{"Cookie": {wire.CookiePeer + `="` + affinity.EncodeCookie(address, 0) + `"`}}}
}

// Direct is whether nothing stands between here and the pod.
func (w Way) Direct() bool { return w.URL == "" }
