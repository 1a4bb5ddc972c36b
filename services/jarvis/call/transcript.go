package call

import (
	"encoding/json"
	"errors"
	"sync"

	"github.com/pion/webrtc/v4"
)

// Transcript is what the agent sends on the data channel wire.TranscriptChannel, as one JSON text message, for each thing it
// says.
type Transcript struct {
	// Type is TypeTranscript; a reader ignores other types.
	Type string `json:"type"`
	Text string `json:"text"`
	Turn uint64 `json:"turn"`
	// Checksum of the conversation up to Turn; absent where the sayer did not know it.
	Checksum string `json:"checksum,omitempty"`
}

// TypeTranscript is Transcript.Type.
const TypeTranscript = "transcript"

const (
	// maxUnsent bounds the transcripts kept for a channel that is not open yet: the oldest go first.
	maxUnsent = 16
	// maxBuffered bounds, in bytes, what waits in SCTP for a peer that has stopped acknowledging.
	maxBuffered = 64 << 10
)

var errPeerBehind = errors.New("peer does not take transcripts: dropped")

// scribe sends transcripts, keeping the first ones until the caller has opened the channel.
type scribe struct {
	mu      sync.Mutex
	channel *webrtc.DataChannel
	unsent  []string
}

// open begins to write to an open channel, what was kept first.
func (s *scribe) open(channel *webrtc.DataChannel) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channel = channel
	unsent := s.unsent
	s.unsent = nil
	for _, line := range unsent {
		if err := s.write(line); err != nil {
			return err
		}
	}
	return nil
}

func (s *scribe) send(a Answer) error {
	line, err := json.Marshal(Transcript{Type: TypeTranscript, Text: a.Text, Turn: a.Turn, Checksum: a.Checksum})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channel != nil {
		return s.write(string(line))
	}
	if len(s.unsent) == maxUnsent {
		s.unsent = s.unsent[1:]
	}
	s.unsent = append(s.unsent, string(line))
	return nil
}

func (s *scribe) write(line string) error {
	if s.channel.BufferedAmount() > maxBuffered {
		return errPeerBehind
	}
	return s.channel.SendText(line)
}
