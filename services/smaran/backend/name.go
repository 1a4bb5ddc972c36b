package backend

import (
	"fmt"
	"strings"
)

// Name of a backend, as in configuration and headers.
type Name string

// The backends.
const (
	RoundRobin     Name = "roundrobin"
	RedisPlain     Name = "redis-plain"
	Redis          Name = "redis"
	AppHash        Name = "app-hash"
	IstioHash      Name = "istio-hash"
	StatefulHeader Name = "stateful-header"
	StatefulCookie Name = "stateful-cookie"
	Handoff        Name = "handoff"
)

// Names lists every backend in the order of the story.
func Names() []Name {
	return []Name{RoundRobin, RedisPlain, Redis, AppHash, IstioHash, StatefulHeader, StatefulCookie, Handoff}
}

// ParseName returns the backend called s, or ErrUnknown.
func ParseName(s string) (Name, error) {
	names := make([]string, 0, len(Names()))
	for _, n := range Names() {
		if s == string(n) {
			return n, nil
		}
		names = append(names, string(n))
	}
	return "", fmt.Errorf("%w %q: use one of %s", ErrUnknown, s, strings.Join(names, ", "))
}

// UnmarshalText lets configuration hold a Name. It fails with ErrUnknown.
func (n *Name) UnmarshalText(text []byte) error {
	parsed, err := ParseName(string(text))
	if err != nil {
		return err
	}
	*n = parsed
	return nil
}
