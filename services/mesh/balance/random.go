package balance

// NewRandom picks hosts at random, whatever their weight (random_lb.cc).
func NewRandom(hosts []Host, s *State) Balancer {
	return &randomBalancer{levels: newLevels(hosts), state: s}
}

type randomBalancer struct {
	levels levels
	state  *State
}

func (b *randomBalancer) Pick(r Request) int {
	return retry(r, func(uint32) int {
		kind := b.levels.hosts[b.levels.choose(b.state.Random)]
		if len(kind) == 0 {
			return -1
		}
		return kind[b.state.Random.below(len(kind))]
	})
}
