package peer

import (
	"strings"

	"github.com/pion/sdp/v3"
)

// LateCandidate is a trickle-ICE fragment (RFC 8840 section 9.2) for a late PATCH of the call: its own ICE credentials, and
// the candidates that its offer left out. It is valid as long as the call is.
func (c *Call) LateCandidate() string {
	var local sdp.SessionDescription
	if d := c.pc.LocalDescription(); d == nil || local.UnmarshalString(d.SDP) != nil {
		return "" // never after Dial: pion wrote the description
	}
	var b strings.Builder
	line := func(s ...string) {
		for _, part := range s {
			b.WriteString(part)
		}
		b.WriteString("\r\n")
	}
	section := local.MediaDescriptions[0] // all are bundled on it
	for _, name := range []string{"ice-ufrag", "ice-pwd"} {
		value, ok := section.Attribute(name)
		if !ok {
			value, _ = local.Attribute(name)
		}
		line("a=", name, ":", value)
	}
	line("m=", section.MediaName.String())
	mid, _ := section.Attribute("mid")
	line("a=mid:", mid)
	for _, a := range section.Attributes {
		if a.Key == "candidate" || a.Key == "end-of-candidates" {
			line("a=", a.String())
		}
	}
	return b.String()
}
