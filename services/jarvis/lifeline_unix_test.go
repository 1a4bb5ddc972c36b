//go:build unix

package jarvis_test

import (
	"io"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/lifeline"
)

func TestRunLoadsNothingForAParentThatIsGone(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	fd, err := syscall.Dup(int(r.Fd())) // the pod's to close
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, w.Close())
	var log syncBuffer
	require.NoError(t, jarvis.Run(t.Context(), nil, []string{
		"JARVIS_LISTEN=127.0.0.1:0", "JARVIS_ADMIN_LISTEN=127.0.0.1:0", "JARVIS_MEDIA_LISTEN=127.0.0.1:0",
		"JARVIS_WEIGHTS_MB=1024", lifeline.Variable + "=" + strconv.Itoa(fd),
	}, io.Discard, &log))
	require.Contains(t, log.String(), "starting")
	require.NotContains(t, log.String(), "weights loaded")
}

func TestRunWaitsForNoCallWhenItsParentIsGone(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	fd, err := syscall.Dup(int(r.Fd())) // the pod's to close
	require.NoError(t, err)
	require.NoError(t, r.Close())
	p := run(t, lifeline.Variable+"="+strconv.Itoa(fd), "JARVIS_DRAIN_TIMEOUT=10m")
	p.dial(t, "a")

	p.terminate()
	require.Eventually(t, func() bool { _, ok := p.record("draining"); return ok }, 10*time.Second, time.Millisecond)
	require.NoError(t, w.Close())
	p.end(t)
	_, ok := p.record("drain given up")
	require.True(t, ok, p.log)
}
