package crowd

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/jonboulle/clockwork"
	"google.golang.org/protobuf/types/known/durationpb"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

// keep is how many details of a kind wait to be told. At a thousand inferences a second that is two seconds.
const keep = 2048

// book is what the callers of a take saw and the stage was not told yet. Who writes never waits for who reads, and what it holds is bounded:
// by keep, and by the number of callers.
type book struct {
	clock clockwork.Clock
	take  uint32

	mu sync.Mutex
	// closed: no stage is there, and only who is up is kept.
	closed      bool
	inferences  queue[*stagev1.CrowdInference]
	occurrences queue[*stagev1.Occurrence]
	gaps        queue[*stagev1.MediaGap]
	calls       queue[*stagev1.CallChange]
	// up are the calls that are, by their session, since when.
	up map[string]detail[*stagev1.CallChange]
	// untold are the details that were given up since the last message.
	untold uint32
}

func newBook(clock clockwork.Clock, take uint32) *book {
	b := &book{clock: clock, take: take, up: map[string]detail[*stagev1.CallChange]{}}
	b.gaps.fold = func(a, o *stagev1.MediaGap) bool { return a.GetLength().AsDuration() > o.GetLength().AsDuration() }
	b.calls.fold = func(*stagev1.CallChange, *stagev1.CallChange) bool { return false } // the later one says it all
	return b
}

func (b *book) inference(at time.Time, m *stagev1.CrowdInference) {
	b.mu.Lock()
	defer b.mu.Unlock()
	add(b, &b.inferences, at, m)
}

func (b *book) occurrence(at time.Time, m *stagev1.Occurrence) {
	b.mu.Lock()
	defer b.mu.Unlock()
	add(b, &b.occurrences, at, m)
}

func (b *book) gap(at time.Time, m *stagev1.MediaGap) {
	b.mu.Lock()
	defer b.mu.Unlock()
	add(b, &b.gaps, at, m)
}

func (b *book) call(at time.Time, m *stagev1.CallChange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.GetUp() {
		b.up[m.GetSession()] = detail[*stagev1.CallChange]{at, m}
	} else {
		delete(b.up, m.GetSession())
	}
	add(b, &b.calls, at, m)
}

// add is called with b's mu held.
func add[M message](b *book, q *queue[M], at time.Time, m M) {
	if b.closed {
		b.untold++
		return
	}
	b.untold += q.add(detail[M]{at, m})
}

// close says that nobody reads: what is not told yet never will be. It returns how many details that are.
func (b *book) close() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.inferences.all) + len(b.occurrences.all) + len(b.gaps.all) + len(b.calls.all)
	b.inferences.all, b.occurrences.all, b.gaps.all, b.calls.all = nil, nil, nil, nil
	b.closed = true
	return n
}

// open begins anew for another reader, who is told first which calls are up. It returns how many details nobody was told meanwhile.
func (b *book) open() uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		return 0
	}
	missed := b.untold
	b.closed, b.untold = false, 0
	for _, d := range b.up {
		b.calls.add(d)
	}
	slices.SortFunc(b.calls.all, func(x, y detail[*stagev1.CallChange]) int {
		return cmp.Or(x.at.Compare(y.at), cmp.Compare(x.m.GetSession(), y.m.GetSession()))
	})
	return missed
}

// read takes off what there is to tell; nil: nothing.
func (b *book) read() *stagev1.Observations {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	out := &stagev1.Observations{Take: b.take, Untold: b.untold}
	for _, d := range b.inferences.read() {
		d.m.Ago = d.ago(now)
		out.Inferences = append(out.Inferences, d.m)
	}
	for _, d := range b.occurrences.read() {
		d.m.Ago = d.ago(now)
		out.Occurrences = append(out.Occurrences, d.m)
	}
	for _, d := range b.gaps.read() {
		d.m.Ago = d.ago(now)
		out.Gaps = append(out.Gaps, d.m)
	}
	for _, d := range b.calls.read() {
		// Who is up stays in the book.
		out.Calls = append(out.Calls, &stagev1.CallChange{Session: d.m.GetSession(), Ago: d.ago(now), Up: d.m.GetUp(), Pod: d.m.GetPod()})
	}
	b.untold = 0
	if len(out.GetInferences())+len(out.GetOccurrences())+len(out.GetGaps())+len(out.GetCalls()) == 0 && out.GetUntold() == 0 {
		return nil
	}
	return out
}

type message interface{ GetSession() string }

// detail is one thing that was seen.
type detail[M message] struct {
	at time.Time
	m  M
}

func (d detail[M]) ago(now time.Time) *durationpb.Duration {
	return durationpb.New(max(0, now.Sub(d.at)))
}

// queue holds keep details at most, the oldest first.
type queue[M message] struct {
	all []detail[M]
	// fold, optional, has one detail stand for all of a session: it says whether an earlier one is worth more than a later.
	fold func(earlier, later M) bool
}

// add returns how many details were given up for it.
func (q *queue[M]) add(d detail[M]) (lost uint32) {
	if len(q.all) == keep && q.fold != nil {
		lost = q.merge()
	}
	if len(q.all) == keep {
		q.all = slices.Delete(q.all, 0, 1)
		lost++
	}
	q.all = append(q.all, d)
	return lost
}

func (q *queue[M]) read() []detail[M] {
	out := q.all
	q.all = nil
	return out
}

// merge leaves one detail a session.
func (q *queue[M]) merge() (lost uint32) {
	kept := map[string]int{}
	all := q.all[:0]
	for _, d := range q.all {
		i, known := kept[d.m.GetSession()]
		switch {
		case !known:
			kept[d.m.GetSession()] = len(all)
			all = append(all, d)
			continue
		case !q.fold(all[i].m, d.m):
			all[i] = d
		}
		lost++
	}
	q.all = all
	return lost
}
