package peer_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/peer"
	"github.com/smaran-v2/smaran/services/jarvis/audio"
)

func TestSpeechIsAnsweredAudiblyAndInWriting(t *testing.T) {
	p, api := startPod(t), newAPI(t)
	said := make(chan peer.Transcript, 64)
	loud := make(chan struct{}, 1)
	c := dial(t, api, p.to("s1"), peer.Options{
		Speech:       peer.Speech{Talk: 400 * time.Millisecond, Pause: 600 * time.Millisecond, Seed: 1},
		OnTranscript: func(s peer.Transcript) { said <- s },
		OnAudio: func(pcmu []byte) {
			if audio.Energy(pcmu) > 1e6 {
				select {
				case loud <- struct{}{}:
				default:
				}
			}
		},
	})
	require.Positive(t, c.SetupTime())
	select {
	case s := <-said:
		require.Equal(t, uint64(1), s.Turn)
		require.Regexp(t, `^answer to heard \d+ ms of speech$`, s.Text)
		require.Equal(t, "0000000000000001", s.Checksum)
	case <-time.After(patience):
		t.Fatal("no transcript")
	}
	select {
	case <-loud:
	case <-time.After(patience):
		t.Fatal("nothing audible")
	}
	require.NoError(t, c.Err())
}
