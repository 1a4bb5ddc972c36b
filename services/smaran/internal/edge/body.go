package edge

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/services/wire"
)

// readBody reads the whole body, up to the limit, if it is of the media type wanted. An empty one needs no type.
func (h *handler) readBody(w http.ResponseWriter, r *http.Request, wanted string) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.options.MaxBody))
	if err != nil {
		return nil, fmt.Errorf("read the request's body: %w", err)
	}
	if len(body) == 0 {
		return nil, nil
	}
	received := r.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(received); err != nil || media != wanted {
		return nil, bad(wire.CodeUnsupportedMedia, "the body is of the wrong media type", strconv.Quote(received), wanted, "Content-Type: "+wanted)
	}
	return body, nil
}

func (h *handler) readJSON(w http.ResponseWriter, r *http.Request, into proto.Message, example string) (empty bool, err error) {
	body, err := h.readBody(w, r, wire.ContentTypeJSON)
	if err != nil || len(body) == 0 {
		return true, err
	}
	if err := protojson.Unmarshal(body, into); err != nil {
		expected := "JSON of " + string(into.ProtoReflect().Descriptor().FullName())
		return false, bad(wire.CodeBadRequest, "the body does not parse: "+oneLine(err), "", expected, example)
	}
	return false, nil
}

// oneLine undoes protojson's habit of putting odd spaces into its errors.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func writeJSON(w http.ResponseWriter, code int, m proto.Message) {
	body, err := marshal(m)
	if err != nil {
		writeProblem(w, err)
		return
	}
	w.Header().Set("Content-Type", wire.ContentTypeJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a client that is gone can't be told
}

// marshal shows zero values too: callHeld false and turn 0 mean something.
func marshal(m proto.Message) ([]byte, error) {
	body, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return body, nil
}
