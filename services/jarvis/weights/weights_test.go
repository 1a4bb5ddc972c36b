package weights_test

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis/weights"
)

func TestLoadedWeightsAreResident(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc/self/statm, which only Linux has")
	}
	const megabytes = 64
	before := residentMegabytes(t)
	w, err := weights.Load(t.Context(), megabytes)
	require.NoError(t, err)
	require.Equal(t, megabytes, w.Megabytes())
	require.GreaterOrEqual(t, residentMegabytes(t)-before, megabytes*9/10)
	runtime.KeepAlive(w)
}

func TestLoadStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := weights.Load(ctx, 64)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "0 of 64 MiB")
}

func TestLoadRefusesANegativeSize(t *testing.T) {
	_, err := weights.Load(t.Context(), -1)
	require.ErrorContains(t, err, "-1 MiB")
}

func TestNoWeightsAreLoadedAtOnce(t *testing.T) {
	w, err := weights.Load(t.Context(), 0)
	require.NoError(t, err)
	require.Zero(t, w.Megabytes())
}

func residentMegabytes(t *testing.T) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.Atoi(string(bytes.Fields(statm)[1]))
	require.NoError(t, err)
	return pages * os.Getpagesize() >> 20
}
