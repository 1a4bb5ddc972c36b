package jarvis_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

func (r plainReply) answer(t testing.TB) *jarvisv1.InferResponse {
	t.Helper()
	require.Equal(t, http.StatusOK, r.StatusCode, r.body)
	require.Equal(t, wire.ContentTypeJSON, r.Header.Get("Content-Type"))
	res := new(jarvisv1.InferResponse)
	require.NoError(t, protojson.Unmarshal([]byte(r.body), res))
	return res
}

func TestPlainInferenceAnswersAndRepeatsItselfInHeaders(t *testing.T) {
	b := ready(t, nil)
	reply := b.plain(t, "GET", wire.PathInference, "", session.Header, "a", wire.HeaderEpoch, "3")
	served := reply.answer(t).GetServed()
	want := &jarvisv1.Served{Pod: "jarvis-1", Address: "10.0.0.1:8080", Incarnation: "incarnation-1", Session: "a", Turn: 1,
		Checksum: served.GetChecksum(), State: cold, Epoch: 3}
	require.Empty(t, cmp.Diff(want, served, protocmp.Transform()))
	require.Len(t, served.GetChecksum(), 16)
	for header, want := range map[string]string{
		wire.HeaderPod: "jarvis-1", wire.HeaderIncarnation: "incarnation-1", wire.HeaderTurn: "1",
		wire.HeaderChecksum: served.GetChecksum(), wire.HeaderCacheState: "cold", wire.HeaderEpoch: "3",
	} {
		require.Equal(t, want, reply.Header.Get(header), header)
	}
	require.Contains(t, strings.ReplaceAll(reply.body, " ", ""), `"callHeld":false`, "also what is zero is shown")
}

func TestPlainInferenceTakesItsQuestionFromQueryOrBody(t *testing.T) {
	const json = wire.ContentTypeJSON
	for name, c := range map[string]struct{ method, path, body, media string }{
		"query":               {"GET", "?prompt=hello", "", ""},
		"query of a POST":     {"POST", "?prompt=hello", "", ""},
		"body":                {"POST", "", `{"prompt":"hello"}`, json},
		"body with a charset": {"POST", "", `{"prompt":"hello"}`, json + "; charset=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			b := ready(t, nil)
			first := b.plain(t, c.method, wire.PathInference+c.path, c.body, session.Header, "a", "Content-Type", c.media).answer(t)
			require.Equal(t, cold, first.GetServed().GetState())
			again := b.infer(t, "a", &jarvisv1.InferRequest{Prompt: "hello"})
			require.Equal(t, cached, again.GetServed().GetState(), "the prompt arrived")
		})
	}
}

func TestPlainInferenceFindsStaleCopies(t *testing.T) {
	b := ready(t, nil)
	b.infer(t, "a", &jarvisv1.InferRequest{})
	known := b.infer(t, "a", &jarvisv1.InferRequest{}).GetServed()
	// In this order: the last one replaces the copy.
	for _, c := range []struct {
		name, path, body string
		want             jarvisv1.CacheState
	}{
		{"known in the query", "?last_turn=2&last_checksum=" + known.GetChecksum(), "", warm},
		{"known in the body", "", `{"lastTurn":2,"lastChecksum":"` + known.GetChecksum() + `"}`, warm},
		{"foreign", "?last_turn=2&last_checksum=00000000000000ff", "", cold},
	} {
		reply := b.plain(t, "POST", wire.PathInference+c.path, c.body, session.Header, "a", "Content-Type", wire.ContentTypeJSON)
		require.Equal(t, c.want, reply.answer(t).GetServed().GetState(), c.name)
	}
}

func TestPlainInferenceSaysWhatIsWrong(t *testing.T) {
	b := ready(t, nil)
	const a, json = "a", wire.ContentTypeJSON
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		code               wire.Code
	}{
		"no session":         {"GET", "", "", nil, 400, "session_missing"},
		"empty session":      {"GET", "", "", []string{session.Header, ""}, 400, "session_empty"},
		"two sessions":       {"GET", "", "", []string{session.Header, "a", session.Header, "b"}, 400, "session_multiple"},
		"long session":       {"GET", "", "", []string{session.Header, strings.Repeat("a", 129)}, 400, "session_too_long"},
		"malformed session":  {"GET", "", "", []string{session.Header, "a b"}, 400, "session_malformed"},
		"epoch":              {"GET", "", "", []string{session.Header, a, wire.HeaderEpoch, "x"}, 400, wire.CodeBadRequest},
		"last turn":          {"GET", "?last_turn=x", "", []string{session.Header, a}, 400, wire.CodeBadRequest},
		"turn alone":         {"GET", "?last_turn=4", "", []string{session.Header, a}, 400, wire.CodeBadRequest},
		"not json":           {"POST", "", "prompt=x", []string{session.Header, a, "Content-Type", json}, 400, wire.CodeBadRequest},
		"unknown field":      {"POST", "", `{"promt":"x"}`, []string{session.Header, a, "Content-Type", json}, 400, wire.CodeBadRequest},
		"prompt not UTF-8":   {"GET", "?prompt=%ff", "", []string{session.Header, a}, 400, wire.CodeBadRequest},
		"epoch too high":     {"GET", "?last_epoch=18446744073709551615", "", []string{session.Header, a}, 400, wire.CodeBadRequest},
		"prompt twice":       {"POST", "?prompt=x", `{"prompt":"x"}`, []string{session.Header, a, "Content-Type", json}, 400, wire.CodeBadRequest},
		"last turn twice":    {"POST", "?last_turn=1", `{"prompt":"x"}`, []string{session.Header, a, "Content-Type", json}, 400, wire.CodeBadRequest},
		"checksum twice":     {"POST", "?last_checksum=1", `{"prompt":"x"}`, []string{session.Header, a, "Content-Type", json}, 400, wire.CodeBadRequest},
		"media type":         {"POST", "", `{"prompt":"x"}`, []string{session.Header, a, "Content-Type", "text/plain"}, 415, wire.CodeUnsupportedMedia},
		"no media type":      {"POST", "", `{"prompt":"x"}`, []string{session.Header, a}, 415, wire.CodeUnsupportedMedia},
		"body too large":     {"POST", "", strings.Repeat("x", 1<<20+1), []string{session.Header, a, "Content-Type", json}, 413, wire.CodeBodyTooLarge},
		"method not allowed": {"DELETE", "", "", []string{session.Header, a}, 405, wire.CodeMethodNotAllowed},
		"not found":          {"GET", "/x", "", []string{session.Header, a}, 404, wire.CodeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			reply := b.plain(t, c.method, wire.PathInference+c.path, c.body, c.header...)
			problem := reply.problem(t)
			require.Equal(t, c.status, reply.StatusCode)
			require.Equal(t, c.code, problem.Code)
			require.Equal(t, "jarvis-1", reply.Header.Get(wire.HeaderPod))
			if strings.HasPrefix(string(c.code), "session_") {
				_, err := session.Parse(problem.Example)
				require.NoError(t, err, "the example is a valid one")
				require.NotEmpty(t, problem.Expected)
				require.NotEmpty(t, problem.Received)
			}
		})
	}
	require.Zero(t, b.Status(false).GetSessions(), "none of it made a session")
}

func TestLenientModeServesRequestsWithoutSessionColdAndKeepsNothing(t *testing.T) {
	b := ready(t, func(o *jarvis.Options) { o.Mode = session.Lenient })
	times := map[string]bool{}
	for range 3 {
		res := b.plain(t, "GET", wire.PathInference+"?prompt=x", "").answer(t)
		want := &jarvisv1.Served{Pod: "jarvis-1", Address: "10.0.0.1:8080", Incarnation: "incarnation-1", State: cold}
		require.Empty(t, cmp.Diff(want, res.GetServed(), protocmp.Transform()))
		require.InDelta(t, 875, res.GetCompute().AsDuration().Milliseconds(), 40)
		times[res.GetCompute().AsDuration().String()] = true
	}
	require.Len(t, times, 3, "each takes a time of its own")
	require.Zero(t, b.Status(false).GetSessions())
	require.EqualValues(t, 3, b.metric(t, "jarvis_inferences_total", "state", "cold"))

	reply := b.plain(t, "GET", wire.PathInference, "", session.Header, "a b")
	require.EqualValues(t, "session_malformed", reply.problem(t).Code)
	reply = b.plain(t, "POST", "/jarvis.v1.JarvisService/Offer", `{"sdp":"offer"}`, "Content-Type", wire.ContentTypeJSON)
	require.Equal(t, 400, reply.StatusCode)
	require.Contains(t, reply.body, "session_missing", "a call needs a session in every mode")

	b.Drain(t.Context(), drainTimeout)
	require.Equal(t, wire.CodeDraining, b.plain(t, "GET", wire.PathInference, "").problem(t).Code)
}
