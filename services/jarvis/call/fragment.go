package call

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pion/ice/v4"
)

// Fragment is the part of an application/trickle-ice-sdpfrag body (RFC 8840 section 9) that a pod acts on.
type Fragment struct {
	Media []FragmentMedia
}

// FragmentMedia is one pseudo m-section.
type FragmentMedia struct {
	// MID is the a=mid of the section.
	MID string
	// Ufrag and Password are the section's ICE credentials, or else the session's.
	Ufrag, Password string
	// Candidates are the values of a=candidate, "candidate:" included. Each parses as a candidate (RFC 8839 section 5.1)
	// and, if it has a ufrag extension, has the section's.
	Candidates []string
	// End is whether a=end-of-candidates closed the section, or the whole fragment.
	End bool
}

// Bounds on a fragment: a browser's is below 2 KiB.
const (
	maxFragment   = 64 << 10
	maxCandidates = 128
)

// ParseFragment parses a fragment strictly: only a= and m= lines; a=mid and both ICE credentials (RFC 8839 section 5.4) for
// every m-section; candidates and mid only within one; nothing twice; no candidate after the end. Attributes it does not
// know are ignored, as RFC 8840 section 9.2 asks. Lines end in CRLF or LF. Errors match ErrBadFragment and name the line.
func ParseFragment(body string) (Fragment, error) {
	if len(body) > maxFragment {
		return Fragment{}, fmt.Errorf("%w: %d bytes, expected at most %d", ErrBadFragment, len(body), maxFragment)
	}
	var p fragmentParser
	number := 0
	for line := range strings.Lines(body) {
		number++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if err := p.line(line); err != nil {
			return Fragment{}, fmt.Errorf("%w: line %d %.80q: %w", ErrBadFragment, number, line, err)
		}
	}
	if err := p.finish(); err != nil {
		return Fragment{}, fmt.Errorf("%w: %w", ErrBadFragment, err)
	}
	return p.out, nil
}

// fragmentParser reads line by line; session stands for what precedes the first m-section.
type fragmentParser struct {
	out        Fragment
	session    FragmentMedia
	candidates int
}

func (p *fragmentParser) line(line string) error {
	switch {
	case strings.HasPrefix(line, "m="):
		return p.media(line[2:])
	case strings.HasPrefix(line, "a="):
		name, value, _ := strings.Cut(line[2:], ":")
		return p.attribute(name, value)
	}
	return fmt.Errorf("expected a= or m=, such as a=ice-ufrag:EsAw")
}

// media begins a section. RFC 8840 section 9.2 fixes what its port and formats are no use for; only the shape is checked.
func (p *fragmentParser) media(value string) error {
	if len(strings.Fields(value)) < 4 {
		return fmt.Errorf("expected media, port, protocol and format, such as m=audio 9 UDP/TLS/RTP/SAVPF 0")
	}
	p.out.Media = append(p.out.Media, FragmentMedia{})
	return nil
}

func (p *fragmentParser) attribute(name, value string) error {
	section, inMedia := &p.session, len(p.out.Media) > 0
	if inMedia {
		section = &p.out.Media[len(p.out.Media)-1]
	}
	switch name {
	case "ice-ufrag":
		return setOnce(&section.Ufrag, value, iceChars(value, 4))
	case "ice-pwd":
		return setOnce(&section.Password, value, iceChars(value, 22))
	case "mid":
		if !inMedia {
			return fmt.Errorf("expected below an m= line")
		}
		return setOnce(&section.MID, value, value != "" && !strings.ContainsAny(value, " \t"))
	case "end-of-candidates":
		if section.End {
			return fmt.Errorf("stands twice")
		}
		section.End = true
	case "candidate":
		if !inMedia {
			return fmt.Errorf("expected below an m= line")
		}
		if section.End {
			return fmt.Errorf("stands after end-of-candidates")
		}
		if p.candidates++; p.candidates > maxCandidates {
			return fmt.Errorf("expected at most %d candidates", maxCandidates)
		}
		section.Candidates = append(section.Candidates, "candidate:"+value)
	}
	return nil
}

// finish lets sections inherit from the session, and checks what needs all lines.
func (p *fragmentParser) finish() error {
	if len(p.out.Media) == 0 {
		return fmt.Errorf("no m-section: expected at least one, with a=mid")
	}
	var mids []string
	for i := range p.out.Media {
		s := &p.out.Media[i]
		switch {
		case s.MID == "":
			return fmt.Errorf("m-section %d has no a=mid", i+1)
		case slices.Contains(mids, s.MID):
			return fmt.Errorf("a=mid:%s stands in two m-sections", s.MID)
		}
		mids = append(mids, s.MID)
		if s.Ufrag == "" && s.Password == "" {
			s.Ufrag, s.Password = p.session.Ufrag, p.session.Password
		}
		if s.Ufrag == "" || s.Password == "" {
			return fmt.Errorf("m-section %s: expected both a=ice-ufrag and a=ice-pwd, in it or before the first m=", s.MID)
		}
		s.End = s.End || p.session.End
		for _, raw := range s.Candidates {
			c, err := ice.UnmarshalCandidate(raw)
			if err != nil {
				return fmt.Errorf("%.120q: %w", raw, err)
			}
			if u, ok := c.GetExtension("ufrag"); ok && u.Value != s.Ufrag {
				return fmt.Errorf("%.120q: ufrag %q, but its section has %q", raw, u.Value, s.Ufrag)
			}
		}
	}
	return nil
}

func setOnce(field *string, value string, valid bool) error {
	if !valid {
		return fmt.Errorf("value does not have the form RFC 8839 gives it")
	}
	if *field != "" {
		return fmt.Errorf("stands twice")
	}
	*field = value
	return nil
}

// iceChars checks for least to 256 of RFC 8839's ice-char.
func iceChars(s string, least int) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/') {
			return false
		}
	}
	return least <= len(s) && len(s) <= 256
}
