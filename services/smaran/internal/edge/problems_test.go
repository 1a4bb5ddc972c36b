package edge_test

import (
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/wire"
)

// go test ./smaran/internal/edge -run TestProblems -update writes the golden files from what the API answers; read the diff.
var update = flag.Bool("update", false, "write the golden files")

var addresses = regexp.MustCompile(`127\.0\.0\.1:\d+(->127\.0\.0\.1:\d+)?`)

func TestProblems(t *testing.T) {
	asJSON := func(id string) http.Header { return as(id, "Content-Type", wire.ContentTypeJSON) }
	sdp := func(id string) http.Header { return as(id, "Content-Type", wire.ContentTypeSDP) }
	fragment := func(id string, pairs ...string) http.Header {
		return as(id, append([]string{"Content-Type", wire.ContentTypeSDPFragment}, pairs...)...)
	}
	refuse := func(err error) func(*server) {
		return func(s *server) { s.Pod("jarvis-0").Refuse(func(string) error { return err }) }
	}
	full := connect.NewError(connect.CodeResourceExhausted, errors.New("pod_full: 200 calls are the most"))
	full.Meta().Set(wire.HeaderRetryAfter, "1")
	get := request{method: http.MethodGet, path: wire.PathInference, header: as("s")}

	cases := map[string]struct {
		request  request
		prepare  func(*server)
		override bool
		status   int
		code     wire.Code
	}{
		"session_missing":   {request: request{method: http.MethodGet, path: wire.PathInference}, status: 400, code: "session_missing"},
		"session_empty":     {request: request{method: http.MethodGet, path: wire.PathInference, header: http.Header{session.Header: {""}}}, status: 400, code: "session_empty"},
		"session_multiple":  {request: request{method: http.MethodGet, path: wire.PathInference, header: http.Header{session.Header: {"a", "a"}}}, status: 400, code: "session_multiple"},
		"session_too_long":  {request: request{method: http.MethodGet, path: wire.PathInference, header: as(strings.Repeat("x", 129))}, status: 400, code: "session_too_long"},
		"session_malformed": {request: request{method: http.MethodPost, path: wire.PathCalls, header: sdp("a b"), body: "offer"}, status: 400, code: "session_malformed"},
		"session_conflict":  {request: request{method: http.MethodDelete, path: wire.PathCall("a"), header: as("b")}, status: 400, code: "session_conflict"},
		"session_of_path":   {request: request{method: http.MethodDelete, path: wire.PathCalls + "/a%20b"}, status: 400, code: "session_malformed"},

		"not_found":          {request: request{method: http.MethodGet, path: "/v2/calls"}, status: 404, code: wire.CodeNotFound},
		"method_not_allowed": {request: request{method: http.MethodPut, path: wire.PathCall("s")}, status: 405, code: wire.CodeMethodNotAllowed},
		"fleet_query":        {request: request{method: http.MethodGet, path: wire.PathFleet + "?sessions=some"}, status: 400, code: wire.CodeBadRequest},
		"last_turn":          {request: request{method: http.MethodGet, path: wire.PathInference + "?last_turn=-1", header: as("s")}, status: 400, code: wire.CodeBadRequest},
		"two_prompts":        {request: request{method: http.MethodPost, path: wire.PathInference + "?prompt=a", header: asJSON("s"), body: `{"prompt":"b"}`}, status: 400, code: wire.CodeBadRequest},
		"two_last_turns":     {request: request{method: http.MethodPost, path: wire.PathInference + "?last_turn=1", header: asJSON("s"), body: `{"prompt":"b"}`}, status: 400, code: wire.CodeBadRequest},
		"two_last_checksums": {request: request{method: http.MethodPost, path: wire.PathInference + "?last_checksum=1", header: asJSON("s"), body: `{"prompt":"b"}`}, status: 400, code: wire.CodeBadRequest},
		"broken_json":        {request: request{method: http.MethodPost, path: wire.PathInference, header: asJSON("s"), body: `{"prompt":`}, status: 400, code: wire.CodeBadRequest},
		"unknown_field":      {request: request{method: http.MethodPost, path: wire.PathInference, header: asJSON("s"), body: `{"promt":"x"}`}, status: 400, code: wire.CodeBadRequest},
		"media_type":         {request: request{method: http.MethodPost, path: wire.PathCalls, header: asJSON("s"), body: "offer"}, status: 415, code: wire.CodeUnsupportedMedia},
		"no_offer":           {request: request{method: http.MethodPost, path: wire.PathCalls, header: sdp("s")}, status: 400, code: wire.CodeBadRequest},
		"epoch":              {request: request{method: http.MethodPost, path: wire.PathCalls, header: as("s", "Content-Type", wire.ContentTypeSDP, wire.HeaderEpoch, "three"), body: "offer"}, status: 400, code: wire.CodeBadRequest},
		"last_epoch":         {request: request{method: http.MethodGet, path: wire.PathInference + "?last_epoch=-1", header: as("s")}, status: 400, code: wire.CodeBadRequest},
		"token_refused":      {request: request{method: http.MethodPost, path: wire.PathCalls, header: as("s", "Content-Type", wire.ContentTypeSDP, wire.HeaderMigrate, "10.0.0.1:8080"), body: "offer"}, status: 400, code: wire.CodeTokenRefused},
		"no_control":         {request: request{method: http.MethodPost, path: wire.PathCallControl("s"), header: asJSON("s"), body: `{}`}, status: 400, code: wire.CodeBadRequest},
		"body_too_large":     {request: request{method: http.MethodPost, path: wire.PathCalls, header: sdp("s"), body: strings.Repeat("x", 2000)}, status: 413, code: wire.CodeBodyTooLarge},

		"override_forbidden":  {request: request{method: http.MethodGet, path: wire.PathInference, header: as("s", wire.HeaderBackend, "roundrobin")}, status: 403, code: wire.CodeOverrideForbidden},
		"backend_unknown":     {request: request{method: http.MethodGet, path: wire.PathInference, header: as("s", wire.HeaderBackend, "istio")}, override: true, status: 400, code: wire.CodeBackendUnknown},
		"backend_unavailable": {request: request{method: http.MethodGet, path: wire.PathInference, header: as("s", wire.HeaderBackend, "redis")}, override: true, status: 400, code: wire.CodeBackendUnavailable},
		"mesh_policy_other": {
			request:  request{method: http.MethodGet, path: wire.PathInference, header: as("s", wire.HeaderBackend, "stateful-header")},
			override: true, status: 400, code: wire.CodeBackendUnavailable,
		},

		"owner_moved":    {request: get, prepare: refuse(podtest.NotHeld("jarvis-7", 12)), status: 409, code: wire.CodeOwnerMoved},
		"no_call":        {request: request{method: http.MethodDelete, path: wire.PathCall("s")}, status: 409, code: wire.CodeOwnerMoved},
		"no_call_events": {request: request{method: http.MethodGet, path: wire.PathCallEvents("s")}, status: 409, code: wire.CodeOwnerMoved},
		"pod_full":       {request: request{method: http.MethodPost, path: wire.PathCalls, header: sdp("s"), body: "offer"}, prepare: refuse(full), status: 429, code: wire.CodePodFull},
		"draining":       {request: get, prepare: refuse(connect.NewError(connect.CodeUnavailable, errors.New("draining: the pod takes no new session"))), status: 503, code: wire.CodeDraining},
		"bad_sdp":        {request: get, prepare: refuse(connect.NewError(connect.CodeInvalidArgument, errors.New("bad_request: not an SDP offer"))), status: 400, code: wire.CodeBadRequest},
		"pod_failed":     {request: get, prepare: refuse(connect.NewError(connect.CodeInternal, errors.New("internal: out of ideas"))), status: 500, code: wire.CodeInternal},
		"etag_mismatch": {
			request: request{method: http.MethodPatch, path: wire.PathCall("s"), header: fragment("s", "If-Match", `"old"`), body: "a=candidate"},
			prepare: func(s *server) { s.place(s.T(), "s") }, status: 412, code: wire.CodeETagMismatch,
		},
		"upstream_unavailable": {request: get, prepare: func(s *server) { s.Pod("jarvis-0").Kill() }, status: 503, code: wire.CodeUpstreamUnavailable},
		"no_pods":              {request: get, prepare: func(s *server) { s.Remove("jarvis-0") }, status: 503, code: wire.CodeNoPods},
		"mesh_has_no_pods": {
			request:  request{method: http.MethodGet, path: wire.PathInference, header: as("s", wire.HeaderBackend, "istio-hash")},
			override: true, prepare: func(s *server) { s.Remove("jarvis-0") }, status: 503, code: wire.CodeNoPods,
		},
		"mesh_reaches_no_pod": {
			request:  request{method: http.MethodGet, path: wire.PathInference, header: as("s", wire.HeaderBackend, "istio-hash")},
			override: true, prepare: func(s *server) { s.Pod("jarvis-0").Kill() }, status: 503, code: wire.CodeUpstreamUnavailable,
		},
		"upstream_timeout": {request: get, prepare: func(s *server) {
			s.Pod("jarvis-0").Hang(s.T())
		}, status: 504, code: wire.CodeUpstreamTimeout},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := start(t, podtest.NewFleet(t, 1), func(set *settings) {
				set.maxBody, set.override, set.backend = 1000, c.override, backend.AppHash
				if name == "upstream_timeout" {
					set.timeout = 50 * time.Millisecond
				}
			})
			if c.prepare != nil {
				c.prepare(s)
			}
			res, body := s.do(t, c.request)
			require.Equal(t, c.status, res.StatusCode, body)
			require.Equal(t, wire.ContentTypeProblem, res.Header.Get("Content-Type"))
			var p wire.Problem
			require.NoError(t, json.Unmarshal([]byte(body), &p))
			require.Equal(t, c.code, p.Code)
			require.Equal(t, c.status, p.Status)
			requireGolden(t, name, body)
			switch name {
			case "method_not_allowed":
				require.Equal(t, "DELETE, OPTIONS, PATCH", res.Header.Get("Allow"))
			case "pod_full":
				require.Equal(t, "1", res.Header.Get(wire.HeaderRetryAfter))
				require.Equal(t, "jarvis-0", res.Header.Get(wire.HeaderPod), "a refusal names the pod too")
			}
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "problems", "*"))
	require.NoError(t, err)
	require.Len(t, files, len(cases), "a golden file without a case proves nothing: remove it")
}

// requireGolden compares a problem with its file, but for what differs from run to run.
func requireGolden(t *testing.T, name, body string) {
	t.Helper()
	var pretty strings.Builder
	encoder := json.NewEncoder(&pretty)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	var value map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &value))
	require.NoError(t, encoder.Encode(value))
	got := addresses.ReplaceAllString(pretty.String(), "ADDRESS")
	path := filepath.Join("testdata", "problems", name+".json")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
