package affinity

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of New and ParsePolicy; both are wrapped with what was received.
var (
	// ErrPolicy is returned for a policy name that is not one of Policies.
	ErrPolicy = errors.New("affinity: unknown policy")
	// ErrOptions is returned for options that Envoy would refuse.
	ErrOptions = errors.New("affinity: invalid options")
)

// Picker chooses among the hosts it was built from. It never changes, so it is safe for concurrent use, and
// picking allocates nothing.
type Picker interface {
	// Pick returns an index into the hosts, or -1 when there are none. attempt 0 is the first try; attempt k is
	// what Envoy chooses after its retry host predicate refused k choices for the same request.
	Pick(hash uint64, attempt uint32) int
	// Len is the number of hosts.
	Len() int
}

// Policy names an algorithm.
type Policy string

// The policies that New builds.
const (
	PolicyRing       Policy = "ring"
	PolicyMaglev     Policy = "maglev"
	PolicyRendezvous Policy = "rendezvous"
	PolicyModulo     Policy = "modulo"
)

// Policies lists every policy, in the order in which they are documented.
func Policies() []Policy {
	return []Policy{PolicyRing, PolicyMaglev, PolicyRendezvous, PolicyModulo}
}

// ParsePolicy returns the policy named s, or ErrPolicy.
func ParsePolicy(s string) (Policy, error) {
	names := make([]string, 0, len(Policies()))
	for _, p := range Policies() {
		if s == string(p) {
			return p, nil
		}
		names = append(names, string(p))
	}
	return "", fmt.Errorf("%w %q: use one of %s", ErrPolicy, s, strings.Join(names, ", "))
}

// UnmarshalText lets flags and configuration hold a Policy. It fails with ErrPolicy.
func (p *Policy) UnmarshalText(text []byte) error {
	parsed, err := ParsePolicy(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// Options size the tables. The zero value is Envoy's default for every policy.
type Options struct {
	// MinRingSize is Envoy's minimum_ring_size in entries, 1 to 8388608; 0 means DefaultMinRingSize.
	MinRingSize uint64
	// MaxRingSize is Envoy's maximum_ring_size in entries, 1 to 8388608; 0 means DefaultMaxRingSize.
	MaxRingSize uint64
	// TableSize is Maglev's table_size in entries, a prime up to 5000011; 0 means DefaultTableSize.
	TableSize uint64
}

// New builds a picker over hosts, which are not retained. It fails with ErrPolicy, ErrOptions or ErrWeights.
func New(p Policy, hosts []Host, o Options) (Picker, error) {
	switch p {
	case PolicyRing:
		return picker(NewRing(hosts, o))
	case PolicyMaglev:
		return picker(NewMaglev(hosts, o))
	case PolicyRendezvous:
		return picker(NewRendezvous(hosts))
	case PolicyModulo:
		return NewModulo(hosts), nil
	default:
		_, err := ParsePolicy(string(p))
		return nil, err
	}
}

// picker keeps a failed constructor's nil pointer from becoming a Picker that is not nil.
func picker[P Picker](p P, err error) (Picker, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}
