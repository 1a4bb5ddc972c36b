package predict

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/session"
)

// Reasons why an InputError refuses a file, beside those of session.Parse.
var (
	ErrHost      = errors.New("expected ip:port with a port of 1 to 65535, such as 10.0.0.1:8080 or [2001:db8::1]:8080")
	ErrDuplicate = errors.New("each host must be there once")
	ErrNoHosts   = errors.New("expected at least one ip:port")
)

// InputError says where an input file is wrong, and what was expected there.
type InputError struct {
	File string
	// Line counts from 1; 0 is the file as a whole.
	Line int
	// Received is the line without blanks and comment, "" where there is none.
	Received string
	Err      error
}

// Error is "file:line: received "…": expected …".
func (e *InputError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: received %q: %v", e.File, e.Line, e.Received, e.Err)
}

// Unwrap gives the reason.
func (e *InputError) Unwrap() error { return e.Err }

func readHosts(file string) ([]affinity.Host, error) {
	var hosts []affinity.Host
	seen := map[netip.AddrPort]int{}
	err := eachLine(file, func(number int, line string) error {
		addr, err := netip.ParseAddrPort(line)
		if err != nil || addr.Port() == 0 {
			return ErrHost
		}
		if first, ok := seen[addr]; ok {
			return fmt.Errorf("%w; it is on line %d too", ErrDuplicate, first)
		}
		seen[addr] = number
		// As Envoy prints it, which is what it hashes: an IPv6 address has many spellings.
		hosts = append(hosts, affinity.Host{Address: addr.String()})
		return nil
	})
	if err == nil && len(hosts) == 0 {
		err = &InputError{File: file, Err: ErrNoHosts}
	}
	return hosts, err
}

func readSessions(file string) ([]string, error) {
	var sessions []string
	err := eachLine(file, func(_ int, line string) error {
		id, err := session.Parse(line)
		if err != nil {
			return err
		}
		sessions = append(sessions, id.String())
		return nil
	})
	return sessions, err
}

// eachLine calls f for the lines of file that hold something, without comments and blanks around them.
func eachLine(file string, f func(number int, line string) error) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	number := 0
	for line := range strings.Lines(string(raw)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := f(number, line); err != nil {
			return &InputError{File: file, Line: number, Received: line, Err: err}
		}
	}
	return nil
}
