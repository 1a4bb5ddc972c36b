package mesh

import (
	"net/http"
	"strings"
)

// field is a header that the mesh sets, by its canonical name.
type field struct{ name, value string }

// request headers that the mesh sets, as a sidecar does. x-forwarded-for is left as it came: a sidecar appends nothing to it.
const (
	headerRequestID      = "X-Request-Id"
	headerForwardedProto = "X-Forwarded-Proto"
	headerAttemptCount   = "X-Envoy-Attempt-Count"
)

// omission says which headers of a message are not passed on: those of one hop (RFC 9110 section 7.6.1), those that
// Connection names, and those that are set anew.
type omission struct {
	nominated []string
	set       []field
}

func omit(h http.Header, set []field) omission {
	o := omission{set: set}
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			o.nominated = append(o.nominated, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	return o
}

func (o *omission) drops(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Http2-Settings", // of an upgrade to h2c
		// Answered by the server, as Envoy does.
		"Expect",
		// Framing is made anew from what the server parsed.
		"Content-Length", "Host":
		return true
	}
	for _, n := range o.nominated {
		if n == name {
			return true
		}
	}
	for i := range o.set {
		if o.set[i].name == name {
			return true
		}
	}
	return false
}

// acceptsTrailers is whether the only value of TE that survives a hop is there.
func acceptsTrailers(h http.Header) bool {
	for _, value := range h["Te"] {
		for coding := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(coding), "trailers") {
				return true
			}
		}
	}
	return false
}

// upgradeTo is the protocol that an HTTP/1.1 request asks to upgrade to, or "". An upgrade to h2c is passed over, as Envoy
// does: the answer comes by HTTP/1.1.
func upgradeTo(r *http.Request) string {
	protocol := first(r.Header["Upgrade"])
	if protocol == "" || r.ProtoMajor != 1 || strings.EqualFold(protocol, "h2c") {
		return ""
	}
	for _, value := range r.Header["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(name), "upgrade") {
				return protocol
			}
		}
	}
	return ""
}

// passResponse copies the head of a pod's response, less its hop's headers, but with the length of its body.
func passResponse(dst, src http.Header) {
	o := omit(src, nil)
	for name, values := range src {
		if name == "Content-Length" || !o.drops(name) {
			dst[name] = values
		}
	}
	if len(src["Content-Type"]) == 0 {
		dst["Content-Type"] = nil // keeps net/http from guessing one
	}
}
