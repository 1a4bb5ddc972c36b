package stage

import (
	"net/http"

	"connectrpc.com/connect"

	"github.com/smaran-v2/smaran/proto/stage/v1/stagev1connect"
)

// maxTold is the largest message of a crowd, in bytes: a tenth of a second of some thousand callers.
const maxTold = 4 << 20

// CrowdHandler serves what crowds of callers attach to. It asks nobody who they are, and belongs on a listener of its own that only crowds
// reach.
func CrowdHandler(crowds stagev1connect.CrowdServiceHandler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(stagev1connect.NewCrowdServiceHandler(crowds, connect.WithReadMaxBytes(maxTold)))
	return mux
}
