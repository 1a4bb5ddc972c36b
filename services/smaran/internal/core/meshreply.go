package core

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/wire"
)

// errMeshHasNoPods: the mesh answered by itself, for want of a pod.
var errMeshHasNoPods = errors.New("the mesh has no healthy pod")

// meshReplies turns the mesh's reply that it has no pod into errMeshHasNoPods: only its body tells it from the mesh's other 503s, and
// Connect does not read the body of a reply that is not its own.
type meshReplies struct{ next http.RoundTripper }

func (m meshReplies) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := m.next.RoundTrip(r)
	// Every reply of a pod names it, refusals included; the mesh's own do not.
	if err != nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get(wire.HeaderPod) != "" {
		return res, err
	}
	// One byte more than expected tells a longer body apart.
	start, err := io.ReadAll(io.LimitReader(res.Body, int64(len(mesh.NoHealthyUpstream)+1)))
	if err == nil && string(start) == mesh.NoHealthyUpstream {
		return nil, errors.Join(errMeshHasNoPods, res.Body.Close())
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), res.Body), res.Body}
	return res, nil
}
