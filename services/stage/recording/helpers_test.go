package recording_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/recording"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// header of a recording, valid.
func header() recording.Header {
	return recording.Header{
		Schema: recording.Schema, Recorded: time.Date(2026, 11, 28, 15, 0, 0, 0, time.UTC), Machine: "a machine", Command: "bin/fleet up",
		Versions: map[string]string{"smaran": "abc"},
	}
}

func line(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b) + "\n"
}

// counted is a recording of a pod whose sessions are 1 at 1,000 ms, 2 at 1,100 ms, and so on.
func counted(t *testing.T, frames int) *recording.Recording {
	t.Helper()
	var text strings.Builder
	text.WriteString(line(t, header()))
	for i := range frames {
		f := &stagev1.Frame{AtMs: float64(1000 + 100*i), Whole: i == 0, Pods: []*stagev1.Pod{{Lane: "a", Name: "jarvis-0", Sessions: uint32(i + 1)}}}
		b, err := protojson.Marshal(f)
		require.NoError(t, err)
		fmt.Fprintln(&text, string(b))
	}
	r, err := recording.Read(strings.NewReader(text.String()))
	require.NoError(t, err)
	return r
}

// sessions of the one pod that a scene shows.
func sessions(t *testing.T, s *scene.Scene) int {
	t.Helper()
	f, _ := s.Frame(0)
	require.Len(t, f.GetPods(), 1)
	return int(f.GetPods()[0].GetSessions())
}
