package stageclient_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/loadtest/internal/stageclient"
	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stageOf serves what it is given as a stage's API.
func stageOf(t *testing.T, api http.HandlerFunc) stageclient.Client {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return stageclient.Client{HTTP: server.Client(), Base: server.URL}
}

func write(t *testing.T, w io.Writer, events ...*stagev1.Event) {
	t.Helper()
	body, err := protojson.Marshal(&stagev1.Frame{Events: events})
	require.NoError(t, err)
	_, err = w.Write(body)
	require.NoError(t, err)
}

// TestAnOrderIsWaitedFor has a stage that is at an order for a while, and can't be asked for a moment.
func TestAnOrderIsWaitedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		last *stagev1.Event
		why  string
	}{
		"one that is carried out": {&stagev1.Event{Group: 7, Lane: "b", FinishedMs: proto.Float64(3)}, ""},
		"one that fails":          {&stagev1.Event{Group: 7, Lane: "b", Error: "no such pod"}, "no such pod"},
	} {
		asked := 0
		c := stageOf(t, func(w http.ResponseWriter, _ *http.Request) {
			asked++
			first := []*stagev1.Event{{Group: 6}, {Group: 7, Lane: "a", FinishedMs: proto.Float64(2)}}
			switch asked {
			case 1:
				write(t, w, first[0])
			case 2:
				http.Error(w, "busy", http.StatusServiceUnavailable)
			case 3:
				write(t, w, append(first, &stagev1.Event{Group: 7, Lane: "b"})...)
			default:
				write(t, w, append(first, tc.last)...)
			}
		})
		events, err := c.Carried(t.Context(), 7)
		require.Equal(t, 4, asked, name)
		if tc.why != "" {
			require.ErrorIs(t, err, stageclient.ErrUndone, name)
			require.ErrorContains(t, err, tc.why, name)
			continue
		}
		require.NoError(t, err, name)
		require.Len(t, events, 2, name)
		require.Equal(t, "a", events[0].GetLane(), name)
		require.Equal(t, "b", events[1].GetLane(), name)
	}
}

func TestAWaitEndsWithItsContextAndSaysWhatWasWrong(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	c := stageOf(t, func(w http.ResponseWriter, _ *http.Request) { write(t, w) })
	_, err := c.Await(ctx, func(*stagev1.Frame) (bool, error) {
		if looks++; looks == 2 {
			cancel()
		}
		return false, nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, looks)

	ctx, cancel = context.WithCancel(t.Context())
	c = stageOf(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<html>")
		cancel()
	})
	_, err = c.Carried(ctx, 7)
	require.ErrorIs(t, err, stageclient.ErrStage)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAnOrderIsGivenAsAPageOfTheStageWould(t *testing.T) {
	c := stageOf(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Equal(t, `{"pods":10}`, string(body))
		require.Equal(t, "/api/v1/scale", r.URL.Path)
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		require.Equal(t, "stage.localhost", r.Host)
		if r.Header.Get("Authorization") != "Bearer right" {
			http.Error(w, "another token", http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"group":7}`)
	})
	c.Host, c.Token = "stage.localhost", "right"
	group, err := c.Order(t.Context(), "scale", `{"pods":10}`)
	require.NoError(t, err)
	require.EqualValues(t, 7, group)

	c.Token = "wrong"
	_, err = c.Order(t.Context(), "scale", `{"pods":10}`)
	require.ErrorIs(t, err, stageclient.ErrStage)
	require.ErrorContains(t, err, "another token")
}
