package recording_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// What is recorded and played is what was shown, of the last moment too.
func TestWhatIsRecordedIsPlayed(t *testing.T) {
	for _, name := range []string{"run.jsonl", "run.jsonl.gz"} {
		t.Run(name, func(t *testing.T) {
			clock := clockwork.NewFakeClock()
			s := scene.New(clock)
			path := filepath.Join(t.TempDir(), name)
			pods := func(sessions uint32) {
				s.Change(func(c *scene.Change) {
					c.Lane(&stagev1.Lane{Id: "a", Verbs: []string{"scale"}})
					c.Pod(&stagev1.Pod{Lane: "a", Name: "jarvis-0", Sessions: sessions})
				})
			}
			pods(1)
			r, err := recording.Create(path, header())
			require.NoError(t, err)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx, s) }()

			for n := range uint32(10) {
				pods(n + 1)                                                 // 1 is there already
				require.NoError(t, clock.BlockUntilContext(t.Context(), 1)) // a frame was written: the pace runs
				clock.Advance(scene.Pace)
			}
			s.Change(func(c *scene.Change) {
				c.Remove(&stagev1.Gone{Lane: "a", Thing: &stagev1.Gone_Pod{Pod: "jarvis-0"}})
				c.Pod(&stagev1.Pod{Lane: "a", Name: "jarvis-1"})
			})
			stop()
			require.NoError(t, <-ended)
			want, _ := s.Frame(0)

			read, err := recording.Open(path)
			require.NoError(t, err)
			require.Equal(t, header(), read.Header)
			require.Empty(t, read.Notice)
			played := play(t, recording.Options{Recording: read, Speed: 0})
			require.NoError(t, played.Steer(recording.Steering{AtMs: ptr(want.GetAtMs())}))
			got, _ := played.scene.Frame(0)
			require.Empty(t, cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(&stagev1.Frame{}, "recording")))

			for n := range 10 { // nor is anything missing that was there for a pace
				require.NoError(t, played.Steer(recording.Steering{AtMs: ptr(float64(n) * 100)}))
				require.Equal(t, n+1, sessions(t, played.scene))
			}
		})
	}
}

func TestARecordingIsNotWrittenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("an earlier show"), 0o600))
	_, err := recording.Create(path, header())
	require.ErrorIs(t, err, os.ErrExist)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "an earlier show", string(b))
}

func TestAHeaderThatCouldNotBeReadIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	_, err := recording.Create(path, recording.Header{Schema: recording.Schema})
	require.ErrorIs(t, err, recording.ErrFormat)
	require.NoFileExists(t, path)
}

func TestDescribeIsAHeader(t *testing.T) {
	now := time.Date(2026, 11, 28, 15, 0, 0, 0, time.UTC)
	h, err := recording.Describe(t.Context(), "bin/fleet up", now)
	require.NoError(t, err)
	r, err := recording.Create(filepath.Join(t.TempDir(), "run.jsonl"), h)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, runtime.Version(), h.Versions["go"])
	require.Contains(t, h.Machine, runtime.GOOS)
	require.True(t, strings.HasPrefix(h.Command, "bin/fleet"))
}

func TestAFileThatTakesNoMoreEndsTheRecordingAndSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	r, err := recording.Create(path, header())
	require.NoError(t, err)
	require.NoError(t, r.Close()) // which takes no more than a full disk does
	err = r.Run(t.Context(), scene.New(clockwork.NewRealClock()))
	require.ErrorContains(t, err, path)
}
