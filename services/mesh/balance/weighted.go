package balance

// NewRoundRobin takes turns. Where weights differ, turns are in proportion to them (round_robin_lb.cc).
func NewRoundRobin(hosts []Host, s *State) Balancer {
	b := newWeighted(hosts, s)
	b.unweighted = func(kind int) int {
		list := b.levels.hosts[kind]
		return list[s.next[kind].Add(1)%uint64(len(list))]
	}
	b.weight = func(host int) float64 { return float64(weight(hosts[host])) }
	b.build()
	return b
}

// NewLeastRequest picks two hosts at random and takes the one with fewer requests under way, the first of them if they are
// even. Where weights differ it takes turns, by weights divided by the requests under way and one
// (least_request_lb.cc with a choice count of 2 and a bias of 1).
func NewLeastRequest(hosts []Host, s *State) Balancer {
	b := newWeighted(hosts, s)
	b.unweighted = func(kind int) int {
		list := b.levels.hosts[kind]
		first, second := list[s.Random.below(len(list))], list[s.Random.below(len(list))]
		if hosts[second].Active.Load() < hosts[first].Active.Load() {
			return second
		}
		return first
	}
	b.weight = func(host int) float64 {
		return float64(weight(hosts[host])) / float64(hosts[host].Active.Load()+1)
	}
	b.build()
	return b
}

// weighted is Envoy's EdfLoadBalancerBase: a scheduler for the kinds of hosts whose weights differ, a cheaper way for
// the others.
type weighted struct {
	hosts      []Host
	state      *State
	levels     levels
	turns      [2]*scheduler // nil where weights are equal
	unweighted func(kind int) int
	weight     func(host int) float64
}

func newWeighted(hosts []Host, s *State) *weighted {
	return &weighted{hosts: hosts, state: s, levels: newLevels(hosts)}
}

func (b *weighted) build() {
	for kind, list := range b.levels.hosts {
		for _, host := range list {
			if weight(b.hosts[host]) != weight(b.hosts[list[0]]) {
				b.turns[kind] = newScheduler(list, b.weight)
				break
			}
		}
	}
}

func (b *weighted) Pick(r Request) int {
	return retry(r, func(uint32) int {
		kind := b.levels.choose(b.state.Random)
		switch {
		case len(b.levels.hosts[kind]) == 0:
			return -1
		case b.turns[kind] != nil:
			return b.turns[kind].next()
		default:
			return b.unweighted(kind)
		}
	})
}

func weight(h Host) uint32 { return max(h.Weight, 1) }
