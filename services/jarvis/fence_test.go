package jarvis_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
	"github.com/smaran-v2/smaran/services/jarvis/internal/history"
)

// TestABrokenFenceShowsInTheHistory has an owner that was passed over answer a caller who knows, with the fence and without it.
func TestABrokenFenceShowsInTheHistory(t *testing.T) {
	for name, through := range map[string]func(http.Handler) http.Handler{
		"whole":  func(h http.Handler) http.Handler { return h },
		"broken": withoutEpochs,
	} {
		t.Run(name, func(t *testing.T) {
			found := history.Check(1, passedOver(t, through))
			if name == "whole" {
				require.Empty(t, found)
				return
			}
			require.NotEmpty(t, found)
			require.Equal(t, history.Fenced, found[0].Rule)
			require.Contains(t, found[0].String(), "epoch 1 answered a caller who had seen 2")
		})
	}
}

// passedOver is what happens where the caller of an owner was answered by a pod that knew nothing of it.
func passedOver(t *testing.T, through func(http.Handler) http.Handler) []history.Event {
	t.Helper()
	recorder := history.NewRecorder()
	c := &team{T: t, clock: jumpClock{clockwork.NewFakeClock()}, network: newNetwork()}
	t.Cleanup(c.close)
	c.change = func(m *mate, o *jarvis.Options, hands *handoff.Options) {
		o.Sessions.OnDropped = tap{Recorder: recorder, pod: m}.dropped
	}
	for i := range 2 {
		m := &mate{name: "jarvis-" + strconv.Itoa(i+1), incarnation: strconv.Itoa(i + 1)}
		m.through = func(h http.Handler) http.Handler { return tap{Recorder: recorder, pod: m}.before(through(h)) }
		c.pods = append(c.pods, c.start(m))
	}
	from, to := c.pods[0], c.pods[1]
	before, after := set(from), set(from, to)
	c.lists(before)
	id := c.moving(before, after, from, to)
	caller := newAsker(c.network, recorder, "caller", id, rand.New(rand.NewPCG(1, 1)))
	require.True(t, caller.ask(t.Context(), from))
	c.prepare(after, from)

	recorder.Record(history.Event{Kind: history.Fault, Separates: true, Note: "endpoints without the owner"})
	require.NoError(t, to.rings.Update(set(to)))
	require.True(t, caller.ask(t.Context(), to))
	c.lists(after)
	require.True(t, caller.ask(t.Context(), from))
	return recorder.Events()
}

// withoutEpochs keeps from a pod what its callers know of epochs, so that it fences on nothing.
func withoutEpochs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == jarvisv1connect.JarvisServiceInferProcedure {
			body, err := io.ReadAll(r.Body)
			var req jarvisv1.InferRequest
			if err == nil && proto.Unmarshal(body, &req) == nil {
				req.LastEpoch = 0
				body, _ = proto.Marshal(&req) // it was one
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		next.ServeHTTP(w, r)
	})
}
