package replies_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/mesh/replies"
	"github.com/smaran-v2/smaran/services/wire"
)

type answer struct {
	status    int
	pod, body string
}

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if a.pod != "" {
		w.Header().Set(wire.HeaderPod, a.pod)
	}
	w.WriteHeader(a.status)
	_, err := w.WriteString(a.body)
	return w.Result(), err
}

func TestWhatTheMeshSaysByItself(t *testing.T) {
	const reset = "upstream connect error or disconnect/reset before headers. "
	for name, tc := range map[string]struct {
		answer answer
		err    error
	}{
		"no pod":                     {answer{503, "", replies.NoHealthyUpstream}, replies.ErrNoPods},
		"refused":                    {answer{503, "", reset + "reset reason: remote connection failure"}, replies.ErrNotConnected},
		"refused again":              {answer{503, "", reset + "retried and the latest reset reason: remote connection failure, transport failure reason: x"}, replies.ErrNotConnected},
		"no route to it":             {answer{503, "", reset + "reset reason: connection timeout"}, replies.ErrNotConnected},
		"cut off after it was sent":  {answer{503, "", reset + "reset reason: connection termination"}, nil},
		"a pod's own, in such words": {answer{503, "jarvis-1", replies.NoHealthyUpstream}, nil},
		"another status":             {answer{500, "", replies.NoHealthyUpstream}, nil},
		"long":                       {answer{503, "", strings.Repeat("x", 5000)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			res, err := replies.Transport{Next: tc.answer}.RoundTrip(req)
			if tc.err != nil {
				require.ErrorIs(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, tc.answer.body, string(body), "nothing of it is lost")
			require.NoError(t, res.Body.Close())
		})
	}
}
