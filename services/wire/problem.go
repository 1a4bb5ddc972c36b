package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// Code is the stable, machine-readable name of a problem. A client switches on it, never on the text.
type Code string

// Codes of the API besides those of package session.
const (
	// CodeOwnerMoved (409): the call is at another pod, or the epoch was stale. Retryable at the owner.
	CodeOwnerMoved Code = "owner_moved"
	// CodeSessionOwned (409): the pod that a session was sent to owns it already, or is giving it away.
	CodeSessionOwned Code = "session_owned"
	// CodePodFull (429): the pod's bound on calls or sessions is reached. Retry-After says when to try again.
	CodePodFull Code = "pod_full"
	// CodeDraining (503): the pod is going away and takes no new session.
	CodeDraining Code = "draining"
	// CodeNoPods (503): no pod can take the request.
	CodeNoPods Code = "no_pods"
	// CodeUpstreamTimeout (504): the pod did not answer in time.
	CodeUpstreamTimeout Code = "upstream_timeout"
	// CodeUpstreamUnavailable (503): the pod or the mesh could not be reached; (502) of a stage: the lane's smaran.
	CodeUpstreamUnavailable Code = "upstream_unavailable"
	CodeBadRequest          Code = "bad_request"
	CodeBodyTooLarge        Code = "body_too_large"
	CodeUnsupportedMedia    Code = "unsupported_media_type"
	CodeETagMismatch        Code = "etag_mismatch"
	CodeNotFound            Code = "not_found"
	CodeMethodNotAllowed    Code = "method_not_allowed"
	// CodeTokenRefused (400): a token that smaran did not make, or not for this session, or one that has expired.
	CodeTokenRefused Code = "token_refused"
	// CodeBackendUnknown (400): no backend has that name.
	CodeBackendUnknown Code = "backend_unknown"
	// CodeBackendUnavailable (400): this smaran is not configured for that backend.
	CodeBackendUnavailable Code = "backend_unavailable"
	// CodeOverrideForbidden (403): requests may not choose a backend here.
	CodeOverrideForbidden Code = "override_forbidden"
	CodeInternal          Code = "internal"
)

// Codes of the stage's API besides some of those above.
const (
	// CodeUnauthorized (401): the stage's token is missing, or is another one.
	CodeUnauthorized Code = "unauthorized"
	// CodeHostRefused (403): a stage without a token was asked under a name that is not this machine's own.
	CodeHostRefused Code = "host_refused"
	// CodeCrossOrigin (403): a page of another origin sent it.
	CodeCrossOrigin Code = "cross_origin"
	// CodeNotPossible (409): the place has no such thing, or it may not be done there. It does not help to try again.
	CodeNotPossible Code = "not_possible"
	// CodeBusy (409): the lane is still at an earlier order.
	CodeBusy Code = "busy"
)

// Problem is an RFC 9457 problem detail. Type is "about:blank" unless set, Title the status text.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   Code   `json:"code"`

	// Received and Expected say what was wrong with an input, Example shows a right one.
	Received string `json:"received,omitempty"`
	Expected string `json:"expected,omitempty"`
	Example  string `json:"example,omitempty"`

	// Owner and Epoch belong to CodeOwnerMoved.
	Owner string `json:"owner,omitempty"`
	Epoch uint64 `json:"epoch,omitempty"`
}

// Write sends p as the whole reply.
func (p Problem) Write(w http.ResponseWriter) {
	if p.Type == "" {
		p.Type = "about:blank"
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	body, err := json.Marshal(p)
	if err != nil { // a struct of strings and numbers always marshals
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", ContentTypeProblem)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the client is gone; nobody is left to tell
}

// ErrNotProblem is returned by ReadProblem for a reply with another media type or a body that does not parse.
var ErrNotProblem = errors.New("reply is not problem+json")

// maxProblem bounds what ReadProblem reads, in bytes.
const maxProblem = 64 << 10

// ReadProblem parses a reply's body. It does not close it.
func ReadProblem(r *http.Response) (Problem, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != ContentTypeProblem {
		return Problem{}, fmt.Errorf("%w: content type %q, status %d", ErrNotProblem, r.Header.Get("Content-Type"), r.StatusCode)
	}
	var p Problem
	if err := json.NewDecoder(io.LimitReader(r.Body, maxProblem)).Decode(&p); err != nil {
		return Problem{}, fmt.Errorf("%w: %w", ErrNotProblem, err)
	}
	return p, nil
}
