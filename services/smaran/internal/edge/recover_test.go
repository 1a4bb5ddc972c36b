package edge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/smaran/internal/podtest"
	"github.com/smaran-v2/smaran/services/wire"
)

// torn has a handler panic: at its first use, or when it writes the body.
type torn struct {
	*httptest.ResponseRecorder
	atOnce, panicked bool
	writes           int
}

func (w *torn) Header() http.Header {
	if w.atOnce && !w.panicked {
		w.panicked = true
		panic("torn before the headers")
	}
	return w.ResponseRecorder.Header()
}

func (w *torn) Write(b []byte) (int, error) {
	w.writes++
	if !w.atOnce {
		panic("torn after the headers")
	}
	return w.ResponseRecorder.Write(b)
}

func TestAHandlerThatPanicsIsAnsweredFor(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1))
	w := &torn{ResponseRecorder: httptest.NewRecorder(), atOnce: true}
	s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, wire.PathFleet, nil))
	require.True(t, w.panicked)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, wire.CodeInternal, problem(t, w.Result()).Code)
}

func TestAReplyThatHasBegunIsCutOff(t *testing.T) {
	s := start(t, podtest.NewFleet(t, 1))
	w := &torn{ResponseRecorder: httptest.NewRecorder()}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, wire.PathFleet, nil))
	})
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, 1, w.writes, "no problem follows")
}
