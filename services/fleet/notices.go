package fleet

import (
	"context"
	"log/slog"
	"sync"

	"github.com/jonboulle/clockwork"
	"google.golang.org/protobuf/types/known/timestamppb"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
)

// maxNotices bounds what Status tells of the past; the oldest go first.
const maxNotices = 256

// notices is what the fleet saw and did. It logs each as well.
type notices struct {
	clock clockwork.Clock
	log   *slog.Logger

	mu   sync.Mutex
	list []*fleetv1.Notice
}

func (n *notices) add(level slog.Level, text string, lines ...string) {
	ctx := context.Background() // nobody asked for what happens by itself
	n.log.Log(ctx, level, text)
	for _, line := range lines {
		n.log.Log(ctx, level, "  "+line)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) == maxNotices {
		n.list = append(n.list[:0:0], n.list[1:]...)
	}
	n.list = append(n.list, &fleetv1.Notice{Time: timestamppb.New(n.clock.Now()), Text: text, LogLines: lines})
}

func (n *notices) all() []*fleetv1.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*fleetv1.Notice(nil), n.list...)
}
