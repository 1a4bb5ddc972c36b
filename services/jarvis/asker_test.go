package jarvis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"connectrpc.com/connect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/jarvis/internal/history"
	"github.com/smaran-v2/smaran/services/session"
)

// patience is a caller's with one request.
const patience = time.Second

// asker asks about one session, one question after another, as the load generator's does: each names the point of the last answer and
// the highest epoch of all.
type asker struct {
	*history.Recorder
	name    string
	session session.ID
	rng     *rand.Rand
	http    connect.HTTPClient

	asked int
	last  history.Point
	seen  uint64
	pod   string
}

func newAsker(n *network, r *history.Recorder, name string, id session.ID, rng *rand.Rand) *asker {
	return &asker{Recorder: r, name: name, session: id, rng: rng, http: &http.Client{Transport: link{network: n, from: name}}}
}

func (c *asker) rpc(m *mate) jarvisv1connect.JarvisServiceClient {
	return jarvisv1connect.NewJarvisServiceClient(c.http, "http://"+m.address, connect.WithAcceptCompression("gzip", nil, nil),
		connect.WithInterceptors(session.Interceptor(session.Strict)))
}

// ask asks a pod, and says whether it got an answer.
func (c *asker) ask(ctx context.Context, at *mate) bool {
	ctx, cancel := context.WithTimeout(session.NewContext(ctx, c.session), patience)
	defer cancel()
	c.asked++
	asked := history.Event{Session: string(c.session), Caller: c.name, Last: c.last, Seen: c.seen}
	res, err := c.rpc(at).Infer(ctx, connect.NewRequest(&jarvisv1.InferRequest{
		Prompt: fmt.Sprintf("%s asks %d", c.name, c.asked), LastTurn: c.last.Turn, LastChecksum: c.last.Checksum, LastEpoch: c.seen}))
	if err != nil {
		asked.Kind, asked.Note = history.Refused, fmt.Sprintf("at %s: %v", at.name, err)
		c.Record(asked)
		return false
	}
	got := eventOf(history.Accepted, res.Msg.GetServed())
	got.Caller, got.Last, got.Seen = asked.Caller, asked.Last, asked.Seen
	c.Record(got)
	c.last, c.seen, c.pod = got.Point, max(c.seen, got.Title.Epoch), got.Title.Pod
	return true
}

// call places a call, which brings the session to the pod: at once, as one who lost the pod that it had, or by a second call whose first
// packet brings it.
func (c *asker) call(ctx context.Context, at *mate) {
	ctx, cancel := context.WithTimeout(session.NewContext(ctx, c.session), patience)
	defer cancel()
	offer := &jarvisv1.OfferRequest{Sdp: "offer", LastEpoch: c.seen}
	switch c.rng.IntN(3) {
	case 0:
		offer.LostPod = c.pod
	case 1:
		offer.Standby = true
	}
	if _, err := c.rpc(at).Offer(ctx, connect.NewRequest(offer)); err == nil && offer.Standby {
		at.calls.heard(ctx, c.session)
	}
}

func (c *asker) hangUp(ctx context.Context, at *mate) {
	ctx, cancel := context.WithTimeout(session.NewContext(ctx, c.session), patience)
	defer cancel()
	_, _ = c.rpc(at).Hangup(ctx, connect.NewRequest(&jarvisv1.HangupRequest{})) // there may be none
}
