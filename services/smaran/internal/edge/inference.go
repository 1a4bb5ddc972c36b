package edge

import (
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"

	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/wire"
)

const exampleQuestion = `{"prompt":"hello"}`

// inference is GET and POST /inference. The question is the query's prompt, last_turn, last_checksum and last_epoch, or a JSON InferRequest as
// the body; the answer is a JSON InferResponse, whose served is repeated in headers.
func (h *handler) inference(w http.ResponseWriter, r *http.Request) {
	question, err := h.question(w, r)
	if err != nil {
		writeProblem(w, err)
		return
	}
	res, reply, err := h.options.Service.Infer(r.Context(), core.Incoming{Header: r.Header}, question)
	addHeaders(w.Header(), reply.Header)
	if err != nil {
		writeProblem(w, err)
		return
	}
	writeJSON(w, http.StatusOK, res)
}

func (h *handler) question(w http.ResponseWriter, r *http.Request) (*smaranv1.InferRequest, error) {
	question := new(smaranv1.InferRequest)
	empty, err := h.readJSON(w, r, question, exampleQuestion)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	if empty {
		return fromQuery(query)
	}
	for _, name := range []string{"prompt", "last_turn", "last_checksum", "last_epoch"} {
		if query.Has(name) {
			return nil, bad(wire.CodeBadRequest, name+" in the query and a body", "both", "one of them", exampleQuestion)
		}
	}
	return question, nil
}

func fromQuery(query url.Values) (*smaranv1.InferRequest, error) {
	question := &smaranv1.InferRequest{Prompt: query.Get("prompt"), LastChecksum: query.Get("last_checksum")}
	if given := question.GetPrompt() + question.GetLastChecksum(); !utf8.ValidString(given) {
		return nil, bad(wire.CodeBadRequest, "the query is not UTF-8", strconv.Quote(given), "UTF-8, percent-encoded", "prompt=caf%C3%A9")
	}
	for name, number := range map[string]*uint64{"last_turn": &question.LastTurn, "last_epoch": &question.LastEpoch} {
		text := query.Get(name)
		if text == "" {
			continue
		}
		var err error
		if *number, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, bad(wire.CodeBadRequest, name+" is no number", strconv.Quote(text), "a whole number, 0 or more", name+"=3")
		}
	}
	return question, nil
}
