package affinity

// Modulo is hash % n over the hosts in the order given: the textbook scheme, kept as a control.
//
// Invariants:
//   - A change from n to m hosts keeps min(n,m)/lcm(n,m) of the sessions, and nothing else can be said: 3 to 10 moves
//     90% of them, and so does taking one host of ten away.
//   - The order of the hosts matters. Keys and weights do not.
//
// Example: XXH64("session-1") is 12724926790740281283; of three hosts it is the first (0), of four the last (3).
type Modulo struct {
	hosts int
}

// NewModulo builds a picker over hosts.
func NewModulo(hosts []Host) *Modulo {
	return &Modulo{hosts: len(hosts)}
}

// Pick implements Picker. attempt k is the k-th host after the first choice.
func (m *Modulo) Pick(hash uint64, attempt uint32) int {
	if m.hosts == 0 {
		return -1
	}
	n := uint64(m.hosts)
	return int((hash%n + uint64(attempt)) % n)
}

// Len implements Picker.
func (m *Modulo) Len() int { return m.hosts }
