package endpoints_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/endpoints"
)

// deadline bounds a wait for the kernel's notification.
const deadline = 10 * time.Second

// logs collects log lines, from any goroutine.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func watch(t *testing.T, path string) (*endpoints.Watcher, *logs) {
	t.Helper()
	out := &logs{}
	ctx, cancel := context.WithCancel(t.Context())
	w, err := endpoints.Watch(ctx, path, slog.New(slog.NewTextHandler(out, nil)))
	require.NoError(t, err)
	t.Cleanup(func() {
		cancel()
		<-w.Done()
	})
	return w, out
}

// awaitVersion waits as a consumer does: by Changed.
func awaitVersion(t *testing.T, w *endpoints.Watcher, version string) endpoints.Set {
	t.Helper()
	timeout := time.After(deadline)
	for {
		changed := w.Changed()
		if set := w.Current(); set.Version == version {
			return set
		}
		select {
		case <-changed:
		case <-timeout:
			require.FailNow(t, "no such version", "want %s, have %s", version, w.Current().Version)
		}
	}
}

func TestWatchSeesEveryKindOfReplacement(t *testing.T) {
	content := func(version int) []byte {
		b, err := fleet(version, version).Marshal()
		require.NoError(t, err)
		return b
	}
	for name, replace := range map[string]func(path string){
		"rename":   func(path string) { require.NoError(t, endpoints.WriteFile(path, fleet(2, 2))) },
		"in place": func(path string) { require.NoError(t, os.WriteFile(path, content(2), 0o600)) },
		"made again": func(path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.WriteFile(path, content(2), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "eds.json")
			require.NoError(t, endpoints.WriteFile(path, fleet(1, 1)))
			w, _ := watch(t, path)
			require.Equal(t, "1", w.Current().Version)
			replace(path)
			require.Len(t, awaitVersion(t, w, "2").Endpoints, 2)
		})
	}
}

// Kubernetes mounts a ConfigMap as file -> ..data/file and ..data -> ..<time>, and renames a new ..data over the old.
func TestWatchSeesTheSwapOfALinkedDirectory(t *testing.T) {
	dir := t.TempDir()
	for version, name := range map[int]string{1: "..one", 2: "..two"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, endpoints.WriteFile(filepath.Join(dir, name, "eds.json"), fleet(version, version)))
	}
	path := filepath.Join(dir, "eds.json")
	require.NoError(t, os.Symlink("..one", filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/eds.json", path))
	w, _ := watch(t, path)
	require.Len(t, w.Current().Endpoints, 1)

	require.NoError(t, os.Symlink("..two", filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	require.Len(t, awaitVersion(t, w, "2").Endpoints, 2)
}

func TestWatchKeepsTheLastValidFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eds.json")
	require.NoError(t, endpoints.WriteFile(path, fleet(1, 3)))
	w, out := watch(t, path)
	changed := w.Changed()

	require.NoError(t, os.WriteFile(path, []byte(`{"resources":[]}`), 0o600))
	require.Eventually(t, func() bool { return bytes.Contains([]byte(out.String()), []byte("0 resources, want one")) }, deadline, time.Millisecond)
	require.Len(t, w.Current().Endpoints, 3)
	select {
	case <-changed:
		require.Fail(t, "a refused file is no change")
	default:
	}

	require.NoError(t, os.Remove(path))
	require.Eventually(t, func() bool { return bytes.Contains([]byte(out.String()), []byte("cannot be read")) }, deadline, time.Millisecond)
	require.Len(t, w.Current().Endpoints, 3)

	require.NoError(t, endpoints.WriteFile(path, fleet(2, 4)))
	require.Len(t, awaitVersion(t, w, "2").Endpoints, 4)
}

func TestWatchEndsAtTheLastOfManyVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eds.json")
	require.NoError(t, endpoints.WriteFile(path, fleet(0, 1)))
	w, _ := watch(t, path)
	for version := range 201 {
		require.NoError(t, endpoints.WriteFile(path, fleet(version, 5)))
	}
	require.Equal(t, fleet(200, 5), awaitVersion(t, w, "200"))
}

func TestWatchNeedsAValidFileAtTheStart(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	path := filepath.Join(t.TempDir(), "eds.json")
	_, err := endpoints.Watch(t.Context(), path, log)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "must exist at the start")
	_, err = endpoints.Watch(t.Context(), filepath.Join(path, "deeper"), log)
	require.ErrorContains(t, err, "directory, which must exist")
	require.NoError(t, os.WriteFile(path, []byte(`{}`), 0o600))
	_, err = endpoints.Watch(t.Context(), path, log)
	require.ErrorIs(t, err, endpoints.ErrInvalid)
}
