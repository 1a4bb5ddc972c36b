package watch_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/stage/director/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asked is when each request began, while each takes so long.
func asked(t *testing.T, p watch.Pace, takes, during time.Duration) (at []time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), during)
		defer cancel()
		watch.Loop(ctx, clockwork.NewRealClock(), p, func(ctx context.Context) {
			at = append(at, time.Since(began))
			select {
			case <-ctx.Done():
			case <-time.After(takes):
			}
		})
	})
	return at
}

func TestWhoIsSlowIsAskedLessOftenAndNeverTwiceAtATime(t *testing.T) {
	p := watch.Pace{Every: 250 * time.Millisecond, Timeout: 4 * time.Second, Share: 0.5}
	require.Len(t, asked(t, p, time.Millisecond, 9900*time.Millisecond), 40)
	for _, c := range []struct{ takes, between time.Duration }{
		{100 * time.Millisecond, 250 * time.Millisecond}, {time.Second, 2 * time.Second}, {time.Hour, 8 * time.Second},
	} {
		at := asked(t, p, c.takes, time.Minute)
		for i := 1; i < len(at); i++ {
			require.Equal(t, c.between, at[i]-at[i-1], c.takes)
		}
	}
}

func TestASmaranThatDoesNotAnswerAsOneDoes(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"another status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"no JSON":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"a broken body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("{"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(answer)
			defer s.Close()
			_, err := watch.Smaran(t.Context(), s.Client(), s.URL)
			require.ErrorIs(t, err, watch.ErrSmaran)
		})
	}
	_, err := watch.Smaran(t.Context(), http.DefaultClient, "http://[")
	require.ErrorIs(t, err, watch.ErrSmaran)
}

func TestAFieldThatANewerSmaranHasDoesNoHarm(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"backend":"redis","invented":1}`))
		if r.URL.Path != "/v1/fleet" {
			t.Error(r.URL.Path)
		}
	}))
	defer s.Close()
	res, err := watch.Smaran(t.Context(), s.Client(), s.URL+"/")
	require.NoError(t, err)
	require.Equal(t, "redis", res.GetBackend())
}
