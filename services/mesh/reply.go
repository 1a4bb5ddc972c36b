package mesh

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/smaran-v2/smaran/services/mesh/replies"
)

// reply is a response that the mesh makes itself, with Envoy's words and its response flag (access_log docs,
// RESPONSE_FLAGS).
type reply struct {
	status int
	flag   string
	body   string
}

var (
	replyNoHost     = reply{http.StatusServiceUnavailable, "UH", replies.NoHealthyUpstream}
	replyTimeout    = reply{http.StatusGatewayTimeout, "UT", "upstream request timeout"}
	replyNoRoute    = reply{http.StatusNotFound, "NR", ""}
	replyUpgrade    = reply{http.StatusForbidden, "UPGRADE_FAILED", ""}
	replyConnect    = reset(http.StatusServiceUnavailable, "UF", "reset reason: remote connection failure")
	replyRetried    = reset(http.StatusServiceUnavailable, "UF", "retried and the latest reset reason: remote connection failure")
	replyTerminated = reset(http.StatusServiceUnavailable, "UC", "reset reason: connection termination")
	replyProtocol   = reset(http.StatusBadGateway, "UPE", "reset reason: protocol error")
)

func reset(status int, flag, reason string) reply {
	return reply{status, flag, "upstream connect error or disconnect/reset before headers. " + reason}
}

// gRPC's code for a status that is no gRPC (Grpc::Utility::httpToGrpcStatus).
func (r reply) grpcStatus() int {
	const permissionDenied, unimplemented, unavailable, unknown = 7, 12, 14, 2
	switch r.status {
	case http.StatusForbidden:
		return permissionDenied
	case http.StatusNotFound:
		return unimplemented
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return unavailable
	default:
		return unknown
	}
}

// write sends the reply in the form that the request understands: to gRPC it is a status without a body.
func (r reply) write(w http.ResponseWriter, request *http.Request) (status int) {
	h := w.Header()
	if isGRPC(request.Header) {
		h["Content-Type"] = []string{StreamTypeOfGRPC}
		h["Grpc-Status"] = []string{strconv.Itoa(r.grpcStatus())}
		if r.body != "" {
			h["Grpc-Message"] = []string{r.body}
		}
		w.WriteHeader(http.StatusOK)
		return http.StatusOK
	}
	if r.body != "" {
		h["Content-Type"] = []string{"text/plain"}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(r.body))}
	w.WriteHeader(r.status)
	if request.Method != http.MethodHead {
		_, _ = w.Write([]byte(r.body)) // the client is gone; nobody is left to tell
	}
	return r.status
}

// isGRPC is Grpc::Common::hasGrpcContentType.
func isGRPC(h http.Header) bool {
	rest, ok := strings.CutPrefix(first(h["Content-Type"]), StreamTypeOfGRPC)
	return ok && (rest == "" || rest[0] == '+')
}
