package mesh

import (
	"net/http"
	"strings"

	"github.com/smaran-v2/smaran/services/wire"
)

// What a request for a stream carries. A route's timeout ends event streams as well, so they have one of their own, as
// an operator of Istio would give them.
const (
	StreamAccept        = wire.ContentTypeEventStream
	StreamTypeOfConnect = "application/connect+"
	StreamTypeOfGRPC    = "application/grpc"
)

// IsStream is whether StreamTimeout applies to a request: it accepts an event stream, or its body is a Connect stream or
// gRPC. A unary call of gRPC cannot be told from a stream; it brings its own deadline.
func IsStream(h http.Header) bool {
	contentType := first(h["Content-Type"])
	return strings.HasPrefix(contentType, StreamTypeOfConnect) || strings.HasPrefix(contentType, StreamTypeOfGRPC) ||
		strings.Contains(first(h["Accept"]), StreamAccept)
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
