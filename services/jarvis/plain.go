package jarvis

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// maxBody bounds a request, in bytes, here and over RPC.
const maxBody = 1 << 20

var errUnsupportedMedia = errors.New("unsupported media type")

// inference is GET and POST /inference: Infer for those who only have curl. The question is the query's prompt, last_turn,
// last_checksum and last_epoch, or a JSON InferRequest as the body; the answer is the JSON InferResponse, whose served is repeated in
// headers.
func (p *Pod) inference(w http.ResponseWriter, r *http.Request) {
	msg, err := readQuestion(w, r)
	if err != nil {
		problem(w, err)
		return
	}
	id, _ := session.FromContext(r.Context())
	q, err := ask(id, r.Header, msg)
	if err != nil {
		problem(w, err)
		return
	}
	res, err := p.inferAloud(r.Context(), q)
	if err != nil {
		problem(w, err)
		return
	}
	body, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(res)
	if err != nil {
		problem(w, err)
		return
	}
	h := w.Header()
	// It may be another pod that served.
	h.Set(wire.HeaderPod, res.GetServed().GetPod())
	h.Set(wire.HeaderIncarnation, res.GetServed().GetIncarnation())
	if through := res.GetServed().GetThrough(); through != "" {
		h.Set(wire.HeaderForwarded, through)
	}
	h.Set(wire.HeaderTurn, strconv.FormatUint(res.GetServed().GetTurn(), 10))
	h.Set(wire.HeaderChecksum, res.GetServed().GetChecksum())
	h.Set(wire.HeaderCacheState, cacheStateName(res.GetServed().GetState()))
	h.Set(wire.HeaderEpoch, strconv.FormatUint(res.GetServed().GetEpoch(), 10))
	h.Set("Content-Type", wire.ContentTypeJSON)
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n')) // a client that is gone can't be told
}

func readQuestion(w http.ResponseWriter, r *http.Request) (*jarvisv1.InferRequest, error) {
	query := r.URL.Query()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read body: %w", err)
	case len(body) == 0:
		return fromQuery(query)
	}
	for _, name := range []string{"prompt", "last_turn", "last_checksum", "last_epoch"} {
		if query.Has(name) {
			return nil, fmt.Errorf("%w: %s in the query and a body: expected one of them", ErrBadRequest, name)
		}
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != wire.ContentTypeJSON {
		return nil, fmt.Errorf("%w: %q: expected %s, as in -H 'content-type: %s' -d '{\"prompt\":\"hello\"}'",
			errUnsupportedMedia, r.Header.Get("Content-Type"), wire.ContentTypeJSON, wire.ContentTypeJSON)
	}
	msg := new(jarvisv1.InferRequest)
	if err := protojson.Unmarshal(body, msg); err != nil {
		return nil, fmt.Errorf("%w: body: %w: expected such as {\"prompt\":\"hello\"}", ErrBadRequest, err)
	}
	return msg, nil
}

func fromQuery(query url.Values) (*jarvisv1.InferRequest, error) {
	msg := &jarvisv1.InferRequest{Prompt: query.Get("prompt"), LastChecksum: query.Get("last_checksum")}
	if !utf8.ValidString(msg.GetPrompt() + msg.GetLastChecksum()) {
		return nil, fmt.Errorf("%w: the query is not UTF-8: expected such as prompt=caf%%C3%%A9", ErrBadRequest)
	}
	for name, number := range map[string]*uint64{"last_turn": &msg.LastTurn, "last_epoch": &msg.LastEpoch} {
		text := query.Get(name)
		if text == "" {
			continue
		}
		var err error
		if *number, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, fmt.Errorf("%w: %s %q: expected a whole number, 0 or more", ErrBadRequest, name, text)
		}
	}
	return msg, nil
}
