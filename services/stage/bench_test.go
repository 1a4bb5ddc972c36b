package stage

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// full is a stage of 50 pods and 1,000 sessions, of which answer gives so many a new turn.
type full struct {
	scene *scene.Scene
	turns []uint32
	next  int
}

func newFull() *full {
	f := &full{scene: scene.New(clockwork.NewFakeClock()), turns: make([]uint32, 1000)}
	f.scene.Change(func(c *scene.Change) {
		for i := range 50 {
			c.Pod(&stagev1.Pod{Lane: "a", Name: fmt.Sprint("jarvis-", i), Address: fmt.Sprintf("127.0.1.%d:8080", i), Phase: stagev1.PodPhase_POD_PHASE_READY, Sessions: 20})
		}
		for i := range f.turns {
			c.Session(f.session(i))
		}
	})
	return f
}

func (f *full) session(i int) *stagev1.Session {
	position := float64(i) / 1000
	return &stagev1.Session{
		Lane: "a", Id: fmt.Sprintf("0198c0de-0000-7000-8000-%012d", i), Pod: fmt.Sprint("jarvis-", i%50), CallUp: true,
		Turn: f.turns[i], Epoch: 1, State: "warm", Position: &position,
	}
}

func (f *full) answer(sessions int) {
	f.scene.Change(func(c *scene.Change) {
		for range sessions {
			f.turns[f.next]++
			c.Session(f.session(f.next))
			f.next = (f.next + 1) % len(f.turns)
		}
	})
}

// BenchmarkStream is a tenth of a second of a full stage: 100 of 1,000 sessions are answered (1,000 inferences a second) and 8 readers ask, of
// whom half are slow and ask every fourth time. Its peer is a stream that sends everything each time, to the same readers in the same run:
// x/time and x/bytes are how much more that takes. cores is the share of a core at ten frames a second.
func BenchmarkStream(b *testing.B) {
	f := newFull()
	s := &stream{scene: f.scene, log: slog.New(slog.DiscardHandler)}
	const readers, answered = 8, 100
	had := make([]uint64, readers)
	var changes, everything struct {
		took  time.Duration
		bytes int
	}
	ask := func(after uint64) (size int, version uint64) {
		frame, version := f.scene.Frame(after)
		if frame == nil {
			return 0, version
		}
		event, err := s.event(frame, version)
		if err != nil {
			b.Fatal(err)
		}
		return len(event), version
	}
	for i := range had {
		_, had[i] = ask(0)
	}
	round := 0
	for b.Loop() {
		b.StopTimer()
		f.answer(answered)
		round++
		asks := func(i int) bool { return i%2 == 0 || round%4 == 0 }
		start := time.Now()
		for i := range had {
			if asks(i) {
				size, _ := ask(0)
				everything.bytes += size
			}
		}
		everything.took += time.Since(start)
		b.StartTimer()
		start = time.Now()
		for i := range had {
			if asks(i) {
				var size int
				size, had[i] = ask(had[i])
				changes.bytes += size
			}
		}
		changes.took += time.Since(start)
	}
	b.ReportMetric(float64(everything.took)/float64(changes.took), "x/time")
	b.ReportMetric(float64(everything.bytes)/float64(changes.bytes), "x/bytes")
	b.ReportMetric(float64(changes.took)/float64(b.N)/float64(scene.Pace), "cores")
}
