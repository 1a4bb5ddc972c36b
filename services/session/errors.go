package session

import (
	"errors"
	"fmt"
)

// What can be wrong with a session. Every error of this package about a header is an *Error and matches one of these.
var (
	ErrMissing   = errors.New("no session header")
	ErrEmpty     = errors.New("session header is empty")
	ErrMultiple  = errors.New("more than one session header")
	ErrTooLong   = errors.New("session id is too long")
	ErrMalformed = errors.New("session id has a character outside its grammar")
	// ErrConflict: two places of one request name different sessions.
	ErrConflict = errors.New("two different sessions in one request")
)

var codes = map[error]string{
	ErrMissing:   "session_missing",
	ErrEmpty:     "session_empty",
	ErrMultiple:  "session_multiple",
	ErrTooLong:   "session_too_long",
	ErrMalformed: "session_malformed",
	ErrConflict:  "session_conflict",
}

const expected = "exactly one x-call-session-id of 1 to 128 characters from A-Z a-z 0-9 . _ ~ -"

// Error says what was wrong with a session in a request, and how a right one looks. It is always the caller's fault: 400.
type Error struct {
	// Code is stable: session_missing, session_empty, session_multiple, session_too_long, session_malformed,
	// session_conflict.
	Code string
	// Received describes what came, quoted and shortened.
	Received string
	// Expected states the rule, Example a value that keeps it.
	Expected, Example string

	cause error
}

func newError(cause error, received string) *Error {
	return &Error{Code: codes[cause], Received: received, Expected: expected, Example: Example, cause: cause}
}

// Error gives the whole story on one line.
func (e *Error) Error() string {
	return fmt.Sprintf("%v: received %s; expected %s, such as %s", e.cause, e.Received, e.Expected, e.Example)
}

// Unwrap makes errors.Is work with the sentinels.
func (e *Error) Unwrap() error { return e.cause }
