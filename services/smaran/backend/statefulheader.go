package backend

import (
	"net/http"
	"time"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/wire"
)

// newStatefulHeader is Envoy's stateful session with the header extension.
func newStatefulHeader(d Deps) (Backend, error) { return newStateful(d, headerCarrier{}) }

type headerCarrier struct{}

func (headerCarrier) fromClient(h http.Header) string  { return h.Get(wire.HeaderStateful) }
func (headerCarrier) toMesh(h http.Header, raw string) { h.Set(wire.HeaderStateful, raw) }
func (headerCarrier) fromMesh(h http.Header) string    { return h.Get(wire.HeaderStateful) }
func (headerCarrier) encode(address string) string     { return affinity.EncodeHeader(address) }

func (headerCarrier) toClient(h http.Header, sealed string, _ time.Duration) {
	h.Set(wire.HeaderStateful, sealed)
}
