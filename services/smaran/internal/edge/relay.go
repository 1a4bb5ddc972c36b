package edge

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/turn/credential"
	"github.com/smaran-v2/smaran/services/wire"
)

// Relay is where callers that can't reach a pod's address find one, and how they are let in. The zero Relay is none.
type Relay struct {
	// URLs are those of RFC 7065, such as turn:127.0.0.1:3478?transport=udp.
	URLs []string
	// Secret is shared with the relay, and TTL how long a credential lives.
	Secret []byte
	TTL    time.Duration
}

// link tells a session's client of the relay as RFC 9725 section 4.6 has it: a Link of relation ice-server for each URL. The answer is for that
// client alone, so it is not to be kept.
func (h *handler) link(header http.Header, id session.ID) error {
	relay := h.options.Relay
	if len(relay.URLs) == 0 {
		return nil
	}
	who, err := credential.Mint(relay.Secret, credential.User(relay.Secret, string(id)), h.options.Clock.Now().Add(relay.TTL))
	if err != nil {
		return fmt.Errorf("mint a credential: %w", err)
	}
	for _, url := range relay.URLs {
		header.Add("Link", fmt.Sprintf(`<%s>; rel="ice-server"; username=%s; credential=%s; credential-type="password"`,
			url, strconv.Quote(who.Username), strconv.Quote(who.Password)))
	}
	header.Set("Cache-Control", "no-store")
	return nil
}

// describeCalls answers OPTIONS (section 4.2: Accept-Post). A client that says which session it calls for is told of the relay.
func (h *handler) describeCalls(w http.ResponseWriter, r *http.Request) {
	id, err := session.FromHeader(r.Header)
	switch {
	case err == nil:
		err = h.link(w.Header(), id)
	case errors.Is(err, session.ErrMissing):
		err = nil
	}
	if err != nil {
		writeProblem(w, err)
		return
	}
	w.Header().Set("Allow", "OPTIONS, POST")
	w.Header().Set("Accept-Post", wire.ContentTypeSDP)
	w.WriteHeader(http.StatusNoContent)
}
