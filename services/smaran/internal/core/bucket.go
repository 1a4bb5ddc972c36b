package core

import (
	"net/http"
	"strconv"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// bucketed adds the session's bucket to every request, streams among them; without a session there is none.
type bucketed struct{ next http.RoundTripper }

func (b bucketed) RoundTrip(r *http.Request) (*http.Response, error) {
	if id := r.Header.Get(session.Header); id != "" {
		r = r.Clone(r.Context()) // a RoundTripper leaves the request as it is
		r.Header.Set(wire.HeaderSessionBucket, strconv.Itoa(session.ID(id).Bucket()))
	}
	return b.next.RoundTrip(r)
}
