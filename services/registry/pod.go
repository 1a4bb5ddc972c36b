package registry

import (
	"strconv"
	"time"
)

// How long a lease lives and how often it is renewed. Two renewals may fail before it is lost.
const (
	LeaseTTL    = 3 * time.Second
	RenewalTime = time.Second
)

// DefaultSessionTTL is how long a session's record outlives its last claim.
const DefaultSessionTTL = 30 * time.Minute

const (
	podPrefix     = "pod:"
	sessionPrefix = "sess:"
)

func podKey(name string) string   { return podPrefix + name }
func sessionKey(id string) string { return sessionPrefix + id }

// State is what a pod says of itself.
type State string

// The states of a pod. Only a ready one is given new sessions; a draining one keeps those it has.
const (
	StateStarting State = "starting"
	StateReady    State = "ready"
	StateDraining State = "draining"
)

// Status is what a pod publishes with each renewal. A bound of 0 means unbounded.
type Status struct {
	State                 State
	Sessions, MaxSessions int
	Calls, MaxCalls       int
}

func (s Status) full() bool {
	return s.MaxSessions > 0 && s.Sessions >= s.MaxSessions || s.MaxCalls > 0 && s.Calls >= s.MaxCalls
}

// Pod is a live lease.
type Pod struct {
	// Name is the pod's, such as jarvis-2; Address its ip:port.
	Name, Address string
	// Incarnation changes whenever the pod's process starts anew.
	Incarnation string
	Status
	// Beat counts the renewals of this lease.
	Beat uint64
}

// Fields of the hash pod:<name>; the scripts use the same names.
const (
	fieldIncarnation = "incarnation"
	fieldAddress     = "address"
	fieldState       = "state"
	fieldSessions    = "sessions"
	fieldMaxSessions = "max_sessions"
	fieldCalls       = "calls"
	fieldMaxCalls    = "max_calls"
	fieldBeat        = "beat"
)

func parsePod(name string, fields map[string]string) Pod {
	count := func(field string) int {
		n, _ := strconv.Atoi(fields[field]) // written by renew.lua from ints; anything else counts as 0
		return n
	}
	return Pod{
		Name:        name,
		Address:     fields[fieldAddress],
		Incarnation: fields[fieldIncarnation],
		Status: Status{
			State:       State(fields[fieldState]),
			Sessions:    count(fieldSessions),
			MaxSessions: count(fieldMaxSessions),
			Calls:       count(fieldCalls),
			MaxCalls:    count(fieldMaxCalls),
		},
		Beat: uint64(count(fieldBeat)),
	}
}
