// Package replies tells what a mesh (Envoy, or this repository's) answers by itself from what a pod answered. It decides nothing about
// either.
package replies

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"

	"github.com/smaran-v2/smaran/services/wire"
)

// What the mesh answers by itself: it has no pod, or no connection to the one it chose, so that nothing was sent.
var (
	ErrNoPods       = errors.New("the mesh has no healthy pod")
	ErrNotConnected = errors.New("the mesh has no connection to the pod")
)

// NoHealthyUpstream is the whole body of the 503 for a request that no pod is there for, in Envoy's words.
const NoHealthyUpstream = "no healthy upstream"

// notConnected finds the reset reasons of a connection that never was (resetReasonToString in Envoy's
// source/common/http/utility.cc) in the body that Envoy's router writes.
var notConnected = regexp.MustCompile(`^upstream connect error or disconnect/reset before headers\. .*reset reason: ((local|remote) connection failure|connection timeout)`)

// maxReply is more than Envoy writes, in bytes.
const maxReply = 1 << 10

// Transport turns these replies into errors: only their bodies tell them from the mesh's other 503s, and Connect does not read the body of
// a reply that is not its own.
type Transport struct{ Next http.RoundTripper }

// RoundTrip is http.RoundTripper's. It fails with ErrNoPods or ErrNotConnected besides as Next does.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.Next.RoundTrip(r)
	// Every reply of a pod names it, refusals included; the mesh's own do not.
	if err != nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get(wire.HeaderPod) != "" {
		return res, err
	}
	start, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	switch {
	case err == nil && string(start) == NoHealthyUpstream:
		return nil, errors.Join(ErrNoPods, res.Body.Close())
	case err == nil && notConnected.Match(start):
		return nil, errors.Join(ErrNotConnected, res.Body.Close())
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), res.Body), res.Body}
	return res, nil
}
