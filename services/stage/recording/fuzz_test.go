package recording_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// Whatever is in the file: it is refused as what is none, or it can be played from its start to its end.
func FuzzRead(f *testing.F) {
	const head = `{"schema":"` + recording.Schema + `","recorded":"2026-11-28T15:00:00Z","machine":"m","command":"c","versions":{}}` + "\n"
	f.Add([]byte(head + first + second))
	f.Add([]byte(head + first + `{"atMs":`))
	f.Add([]byte(head + first + `{"atMs":7,"gone":[{"lane":"a","pod":"x"},{"lane":"a","ring":true},{}]}` + "\n"))
	f.Add([]byte(head + `{"whole":true,"lanes":[{"id":"a","meters":{"counts":{"dropped":1}}}]}`))
	f.Add([]byte(head + "\n\n"))
	f.Add([]byte(`{"schema":"other"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := recording.Read(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, recording.ErrFormat) && !errors.Is(err, recording.ErrTooLarge) {
				t.Fatalf("an error of its own: %v", err)
			}
			return
		}
		if r.Start() > r.Length() {
			t.Fatalf("it begins at %s and ends at %s", r.Start(), r.Length())
		}
		s := scene.New(clockwork.NewFakeClock())
		p, err := recording.NewPlayer(recording.Options{Recording: r, Scene: s, Clock: clockwork.NewFakeClock(), Speed: 1})
		if err != nil {
			t.Fatal(err)
		}
		end := float64(r.Length()) / 1e6
		for _, at := range []float64{end, 0, end} {
			if err := p.Steer(recording.Steering{AtMs: &at}); err != nil {
				t.Fatal(err)
			}
		}
		if f, _ := s.Frame(0); f.GetRecording() == nil {
			t.Fatal("it does not say that it is a recording")
		}
	})
}
