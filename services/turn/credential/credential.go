// Package credential makes and reads the time-limited credentials of the relay, by the REST scheme that other TURN servers take too
// (draft-uberti-behave-turn-rest-00 section 2.2): the user's name is "expiry:user", and the password an HMAC of it. So who mints one and
// the relay that takes it share a secret, and nothing else: no state, no message.
//
// It knows no session and no relay.
package credential

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the scheme's; what is needed of it is that nobody forges an HMAC
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrUsername is returned for a name that is not of the scheme, wrapped with what was expected.
var ErrUsername = errors.New("credential: not a name of the scheme")

const (
	// maxUser is the longest user, in bytes. TURN's limit on the whole name is 508 (RFC 8489 section 14.3).
	maxUser = 128
	// maxExpiry is the end of the year 9999, in Unix seconds.
	maxExpiry = 253402300799
	separator = ":"
)

// Credential is what a caller gives the relay.
type Credential struct {
	Username, Password string
}

// Mint makes the credential of a user that expires at that second. It fails with ErrUsername for a user that no name can hold.
func Mint(secret []byte, user string, expires time.Time) (Credential, error) {
	name := strconv.FormatInt(expires.Unix(), 10) + separator + user
	if _, _, err := Parse(name); err != nil {
		return Credential{}, err
	}
	return Credential{Username: name, Password: Password(secret, name)}, nil
}

// Parse takes a name apart. It says nothing of whether the credential is one: only the password can. It fails with ErrUsername.
func Parse(name string) (expires time.Time, user string, err error) {
	digits, user, found := strings.Cut(name, separator)
	if !found {
		return time.Time{}, "", fmt.Errorf("%w: no colon, expected expiry:user", ErrUsername)
	}
	seconds, err := strconv.ParseInt(digits, 10, 64)
	// One way to write a number: +1 and 01 are others.
	if err != nil || seconds < 0 || seconds > maxExpiry || strconv.FormatInt(seconds, 10) != digits {
		return time.Time{}, "", fmt.Errorf("%w: the expiry is no Unix time in seconds", ErrUsername)
	}
	if user == "" || len(user) > maxUser {
		return time.Time{}, "", fmt.Errorf("%w: a user of %d bytes, expected 1 to %d", ErrUsername, len(user), maxUser)
	}
	for _, c := range []byte(user) {
		if c <= ' ' || c > '~' {
			return time.Time{}, "", fmt.Errorf("%w: a user with the byte %#x, expected printable ASCII without spaces", ErrUsername, c)
		}
	}
	return time.Unix(seconds, 0), user, nil
}

// Password is that of a name.
func Password(secret []byte, name string) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(name)) // never fails
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// userSize is how much of the digest stands for a session, in bytes. Two sessions that were alike would only share a bound.
const userSize = 8

// User is a name for a session that does not tell the session: who knows a session's id can end its call, and a TURN user's name crosses the
// network in the clear. It is the same for the whole session, so that a relay's bound on each user is one on each session.
func User(secret []byte, session string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("user" + separator + session)) // never fails
	return hex.EncodeToString(mac.Sum(nil)[:userSize])
}
