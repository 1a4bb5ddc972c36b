package core

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"

	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/wire"
)

// What the mesh answers by itself: it has no pod, or no connection to the one it chose, so that nothing was sent.
var (
	errMeshHasNoPods    = errors.New("the mesh has no healthy pod")
	errMeshReachesNoPod = errors.New("the mesh has no connection to the pod")
)

// notConnected finds the reset reasons of a connection that never was (resetReasonToString in Envoy's
// source/common/http/utility.cc) in the body that Envoy's router writes.
var notConnected = regexp.MustCompile(`^upstream connect error or disconnect/reset before headers\. .*reset reason: ((local|remote) connection failure|connection timeout)`)

// maxMeshReply is more than Envoy writes, in bytes.
const maxMeshReply = 1 << 10

// meshReplies turns these replies into errors: only their bodies tell them from the mesh's other 503s, and Connect does not read the
// body of a reply that is not its own.
type meshReplies struct{ next http.RoundTripper }

func (m meshReplies) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := m.next.RoundTrip(r)
	// Every reply of a pod names it, refusals included; the mesh's own do not.
	if err != nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get(wire.HeaderPod) != "" {
		return res, err
	}
	start, err := io.ReadAll(io.LimitReader(res.Body, maxMeshReply))
	switch {
	case err == nil && string(start) == mesh.NoHealthyUpstream:
		return nil, errors.Join(errMeshHasNoPods, res.Body.Close())
	case err == nil && notConnected.Match(start):
		return nil, errors.Join(errMeshReachesNoPod, res.Body.Close())
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), res.Body), res.Body}
	return res, nil
}
