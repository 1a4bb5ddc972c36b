package balance

import (
	"container/heap"
	"sync"
)

// scheduler takes turns by weight: earliest deadline first (edf_scheduler.h). A host's deadline is one over its weight
// after its last turn, so that hosts of weights 2 and 1 take turns as A B A A B A.
type scheduler struct {
	weight func(host int) float64

	mu    sync.Mutex
	queue turns
	now   float64
	order uint64
}

func newScheduler(hosts []int, weight func(int) float64) *scheduler {
	s := &scheduler{weight: weight}
	for _, h := range hosts {
		s.add(h)
	}
	return s
}

func (s *scheduler) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := heap.Pop(&s.queue).(turn)
	s.now = t.deadline
	s.add(t.host)
	return t.host
}

func (s *scheduler) add(host int) {
	heap.Push(&s.queue, turn{host: host, deadline: s.now + 1/s.weight(host), order: s.order})
	s.order++
}

type turn struct {
	host     int
	deadline float64
	order    uint64 // decides between equal deadlines
}

type turns []turn

func (t turns) Len() int { return len(t) }
func (t turns) Less(i, j int) bool {
	return t[i].deadline < t[j].deadline || t[i].deadline == t[j].deadline && t[i].order < t[j].order
}
func (t turns) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *turns) Push(x any)   { *t = append(*t, x.(turn)) }
func (t *turns) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}
