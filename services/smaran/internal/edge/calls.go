package edge

import (
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/internal/core"
	"github.com/smaran-v2/smaran/services/wire"
)

// placeCall is WHIP's POST (RFC 9725 section 4.2): an SDP offer in, 201 with the SDP answer out, the call's URL in Location and its
// ICE session in ETag.
func (h *handler) placeCall(w http.ResponseWriter, r *http.Request) {
	offer, err := h.readText(w, r, wire.ContentTypeSDP, "an SDP offer")
	if err != nil {
		writeProblem(w, err)
		return
	}
	epoch, err := readEpoch(r.Header)
	if err != nil {
		writeProblem(w, err)
		return
	}
	res, reply, err := h.options.Service.PlaceCall(r.Context(), core.Incoming{Header: r.Header}, &smaranv1.PlaceCallRequest{
		Sdp: offer, LostPod: r.Header.Get(wire.HeaderLostPod), MigrateToken: r.Header.Get(wire.HeaderMigrate), LastEpoch: epoch})
	addHeaders(w.Header(), reply.Header)
	if err != nil {
		writeProblem(w, err)
		return
	}
	id, _ := session.FromContext(r.Context())
	header := w.Header()
	header.Set("Content-Type", wire.ContentTypeSDP)
	header.Set("Location", wire.PathCall(string(id)))
	if res.GetEtag() != "" {
		header.Set("ETag", res.GetEtag())
	}
	header.Set(wire.HeaderAcceptPatch, wire.ContentTypeSDPFragment)
	header.Set("Cache-Control", "no-store")
	if err := h.link(header, id); err != nil {
		writeProblem(w, err)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(res.GetSdp())) // a client that is gone can't be told
}

// readEpoch is the highest epoch that the client saw; 0 where it says none.
func readEpoch(h http.Header) (uint64, error) {
	text := h.Get(wire.HeaderEpoch)
	if text == "" {
		return 0, nil
	}
	epoch, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, bad(wire.CodeBadRequest, wire.HeaderEpoch+" is no number", strconv.Quote(text), "a whole number, 0 or more", wire.HeaderEpoch+": 3")
	}
	return epoch, nil
}

// trickleCall is WHIP's PATCH (section 4.3.2). If-Match is the pod's to judge; without it nothing is checked.
func (h *handler) trickleCall(w http.ResponseWriter, r *http.Request) {
	fragment, err := h.readText(w, r, wire.ContentTypeSDPFragment, "an SDP fragment")
	if err != nil {
		writeProblem(w, err)
		return
	}
	_, reply, err := h.options.Service.TrickleCall(r.Context(), core.Incoming{Header: r.Header},
		&smaranv1.TrickleCallRequest{SdpFragment: fragment, IfMatch: r.Header.Get("If-Match")})
	addHeaders(w.Header(), reply.Header)
	if err != nil {
		writeProblem(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// endCall is WHIP's DELETE (section 4.2).
func (h *handler) endCall(w http.ResponseWriter, r *http.Request) {
	_, reply, err := h.options.Service.EndCall(r.Context(), core.Incoming{Header: r.Header}, &smaranv1.EndCallRequest{})
	addHeaders(w.Header(), reply.Header)
	if err != nil {
		writeProblem(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

const exampleControl = `{"mute":{"muted":true}}`

// controlCall takes a JSON jarvis.v1.ControlRequest.
func (h *handler) controlCall(w http.ResponseWriter, r *http.Request) {
	control := new(jarvisv1.ControlRequest)
	if _, err := h.readJSON(w, r, control, exampleControl); err != nil {
		writeProblem(w, err)
		return
	}
	res, reply, err := h.options.Service.ControlCall(r.Context(), core.Incoming{Header: r.Header},
		&smaranv1.ControlCallRequest{Control: control})
	addHeaders(w.Header(), reply.Header)
	if err != nil {
		writeProblem(w, err)
		return
	}
	writeJSON(w, http.StatusOK, res)
}

// describeCall answers OPTIONS.
func describeCall(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "DELETE, OPTIONS, PATCH")
	w.Header().Set(wire.HeaderAcceptPatch, wire.ContentTypeSDPFragment)
	w.WriteHeader(http.StatusNoContent)
}

func (h *handler) readText(w http.ResponseWriter, r *http.Request, media, what string) (string, error) {
	body, err := h.readBody(w, r, media)
	if err != nil {
		return "", err
	}
	if len(body) == 0 {
		return "", bad(wire.CodeBadRequest, "the request has no body", "0 bytes", what+" of type "+media, "")
	}
	return string(body), nil
}

// sessionOfPath puts the session that the URL names into header and context. A header that names another one is an error.
func sessionOfPath(next http.Handler) http.Handler {
	inContext := session.Middleware(session.Strict, func(w http.ResponseWriter, _ *http.Request, err error) { writeProblem(w, err) })(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := session.Agree(chi.URLParam(r, "session"), r.Header)
		if err != nil {
			writeProblem(w, err)
			return
		}
		r.Header = r.Header.Clone()
		session.Set(r.Header, id)
		inContext.ServeHTTP(w, r)
	})
}
