package registry

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
)

// Chooser ranks pods for sessions that have no owner, by the power of two choices: of two pods drawn at random the less
// loaded one comes first. Always taking the least loaded would send every new session to the same pod until its counts are
// published.
//
// A pod's load is the number of its sessions as last published, plus what this process gave it since: those assignments may
// not show in the counts yet, so they are added until the pod has published twice.
//
// It is safe for concurrent use.
type Chooser struct {
	mu    sync.Mutex
	rand  *rand.Rand
	pods  []Pod
	given map[string]*given
}

// given counts the assignments to one pod since its last two renewals.
type given struct {
	incarnation       string
	beat              uint64
	current, previous int
}

// NewChooser returns a chooser that knows no pods yet. It takes over r, which must not be used elsewhere.
func NewChooser(r *rand.Rand) *Chooser {
	return &Chooser{rand: r, given: map[string]*given{}}
}

// Update replaces what is known of the pods.
func (c *Chooser) Update(pods []Pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pods = slices.Clone(pods)
	seen := make(map[string]*given, len(pods))
	for _, p := range pods {
		g := c.given[p.Name]
		switch {
		case g == nil || g.incarnation != p.Incarnation:
			g = &given{incarnation: p.Incarnation, beat: p.Beat}
		case p.Beat != g.beat:
			g.beat, g.previous, g.current = p.Beat, g.current, 0
		}
		seen[p.Name] = g
	}
	c.given = seen
}

// Given notes that a session was assigned to a pod.
func (c *Chooser) Given(pod string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.given[pod]; g != nil {
		g.current++
	}
}

// Rank returns the names of the pods that are ready, the one to take first. Full ones come last. allowed, unless nil,
// leaves pods out.
func (c *Chooser) Rank(allowed func(pod string) bool) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var free, full []Pod
	for _, p := range c.pods {
		switch {
		case p.State != StateReady || allowed != nil && !allowed(p.Name):
		case p.full():
			full = append(full, p)
		default:
			free = append(free, p)
		}
	}
	return append(c.draw(free), c.draw(full)...)
}

// draw shuffles pods, which makes any two of them two drawn at random, and puts the first two in order of their load.
func (c *Chooser) draw(pods []Pod) []string {
	c.rand.Shuffle(len(pods), func(i, j int) { pods[i], pods[j] = pods[j], pods[i] })
	if len(pods) >= 2 {
		slices.SortStableFunc(pods[:2], func(a, b Pod) int { return cmp.Compare(c.load(a), c.load(b)) })
	}
	names := make([]string, len(pods))
	for i, p := range pods {
		names[i] = p.Name
	}
	return names
}

func (c *Chooser) load(p Pod) int {
	g := c.given[p.Name]
	return p.Sessions + g.current + g.previous
}
