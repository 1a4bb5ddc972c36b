package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/compose"
	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/kube"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/cluster"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/overlay"
	"github.com/smaran-v2/smaran/loadtest/internal/kube/view"
	"github.com/smaran-v2/smaran/loadtest/internal/manifests"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

func failing(err error) func() (*reportv1.Result, error) {
	return func() (*reportv1.Result, error) { return nil, err }
}

func TestABatchStopsAtWhatEveryFurtherRunMeets(t *testing.T) {
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	for _, sentinel := range []error{
		compose.ErrNoDocker, compose.ErrRunning, compose.ErrFile, compose.ErrTaken,
		overlay.ErrBusy, overlay.ErrLost, overlay.ErrForeign,
		cluster.ErrForbidden, view.ErrImage, manifests.ErrRender, kube.ErrOverlay,
	} {
		why := fmt.Errorf("%w: %w: do this", driver.ErrStart, sentinel)
		s := &script{on: map[int]func() (*reportv1.Result, error){1: failing(why)}}
		var said bytes.Buffer
		results, err := (&batch{runner: s, progress: newProgress(&said)}).run(t.Context(), specs)
		require.ErrorIs(t, err, errStopped)
		require.ErrorIs(t, err, sentinel)
		require.Len(t, s.made, 2, "%v", sentinel)
		require.Len(t, results, 1, "what was measured is kept")
		require.Equal(t, 1, strings.Count(said.String()+err.Error(), "do this"), "what to do is said once")
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestTheLastRunStopsNothing(t *testing.T) {
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	s := &script{on: map[int]func() (*reportv1.Result, error){0: failing(compose.ErrNoDocker)}}
	_, err = (&batch{runner: s, progress: newProgress(&bytes.Buffer{})}).run(t.Context(), specs[:1])
	require.ErrorIs(t, err, compose.ErrNoDocker)
	require.NotErrorIs(t, err, errStopped)
}

func TestWhatFailedBeforeIsSaidBesides(t *testing.T) {
	specs, err := compareFlags().specs()
	require.NoError(t, err)
	earlier := errors.New("no fleet")
	s := &script{on: map[int]func() (*reportv1.Result, error){0: failing(earlier), 2: failing(compose.ErrTaken)}}
	_, err = (&batch{runner: s, progress: newProgress(&bytes.Buffer{})}).run(t.Context(), specs)
	require.ErrorIs(t, err, earlier)
	require.ErrorIs(t, err, compose.ErrTaken)
}
