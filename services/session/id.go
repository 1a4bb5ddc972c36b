// Package session is x-call-session-id: its grammar, its place in a context, and its way through HTTP, Connect, logs and
// spans. It knows nothing of pods, calls or backends, and imports nothing of this project.
package session

import (
	"fmt"

	"github.com/google/uuid"
)

// Header is the canonical form of x-call-session-id, the header that names a session and that the mesh hashes.
const Header = "X-Call-Session-Id"

// MaxLength is the longest ID, in bytes.
const MaxLength = 128

// Example is a valid ID, shown in errors.
const Example = "0199e0f2-7c3a-7b1e-9d4f-2a6b8c0d1e2f"

// ID is a session: 1 to 128 bytes of [A-Za-z0-9._~-], the unreserved characters of RFC 3986 section 2.3, so that it
// stands in a URL path as it is. The zero value is no session.
type ID string

// String returns the ID as it travels.
func (id ID) String() string { return string(id) }

// Parse checks s against the grammar. Errors are *Error and match ErrEmpty, ErrTooLong or ErrMalformed.
func Parse(s string) (ID, error) {
	switch {
	case s == "":
		return "", newError(ErrEmpty, `""`)
	case len(s) > MaxLength:
		return "", newError(ErrTooLong, fmt.Sprintf("%d bytes starting %q", len(s), s[:16]))
	}
	for i := range len(s) {
		if !unreserved(s[i]) {
			return "", newError(ErrMalformed, fmt.Sprintf("%q, with byte 0x%02x at position %d", s, s[i], i))
		}
	}
	return ID(s), nil
}

// New mints a UUIDv7 (RFC 9562 section 5.7): unique without coordination, and sortable by the time it was minted. It
// fails only if the system's randomness does.
func New() (ID, error) {
	u, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("mint session id: %w", err)
	}
	return ID(u.String()), nil
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
