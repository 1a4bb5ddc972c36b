package wire_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/wire"
)

func TestProblemSurvivesTheWire(t *testing.T) {
	want := wire.Problem{Status: http.StatusConflict, Code: wire.CodeOwnerMoved, Detail: "the call is at jarvis-2",
		Owner: "jarvis-2", Epoch: 7}
	rec := httptest.NewRecorder()
	want.Write(rec)

	require.Equal(t, http.StatusConflict, rec.Code)
	require.Equal(t, wire.ContentTypeProblem, rec.Header().Get("Content-Type"))
	require.JSONEq(t, `{"type":"about:blank","title":"Conflict","status":409,"detail":"the call is at jarvis-2",
		"code":"owner_moved","owner":"jarvis-2","epoch":7}`, rec.Body.String())

	got, err := wire.ReadProblem(rec.Result())
	require.NoError(t, err)
	want.Type, want.Title = "about:blank", "Conflict"
	require.Equal(t, want, got)
}

func TestReadProblemRefusesOtherReplies(t *testing.T) {
	for name, reply := range map[string]*http.Response{
		"html":        {StatusCode: 502, Header: http.Header{"Content-Type": {"text/html"}}, Body: http.NoBody},
		"no type":     {StatusCode: 502, Header: http.Header{}, Body: http.NoBody},
		"broken json": {StatusCode: 409, Header: http.Header{"Content-Type": {wire.ContentTypeProblem}}, Body: body("{")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.ReadProblem(reply)
			require.ErrorIs(t, err, wire.ErrNotProblem)
		})
	}
}

func TestPathsEscapeTheSession(t *testing.T) {
	require.Equal(t, "/v1/calls/a-b/events", wire.PathCallEvents("a-b"))
	require.Equal(t, "/v1/calls/a%2Fb/control", wire.PathCallControl("a/b"))
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func body(s string) readCloser { return readCloser{strings.NewReader(s)} }
