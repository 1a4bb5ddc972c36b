package endpoints

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a Watcher gathers events before it reads the file: replacing a file makes several, and
// a writer that does not rename makes one for each piece it writes.
const settle = 5 * time.Millisecond

// Watcher follows the file. It is safe for concurrent use.
type Watcher struct {
	path string
	log  *slog.Logger
	fs   *fsnotify.Watcher
	raw  []byte // what current was parsed from, or the last content that was refused
	done chan struct{}

	state atomic.Pointer[state]
}

type state struct {
	set     Set
	changed chan struct{}
}

// Watch reads the file at path and follows it until ctx ends. It fails if there is no valid file at the start; later a
// file that is missing or invalid is logged and the last valid one stays current, as in Envoy.
//
// It watches the directory by inotify and its kin, without polling, so it sees the file replaced by rename, written in
// place, removed and made again, and the swap of a symbolic link beside it, as Kubernetes updates mounted ConfigMaps.
// It does not follow a link into another directory to see changes there.
func Watch(ctx context.Context, path string, log *slog.Logger) (*Watcher, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("watch the endpoints file: %w", err)
	}
	raw, set, fs, err := begin(path)
	if err != nil {
		return nil, err
	}
	w := &Watcher{path: path, log: log, fs: fs, raw: raw, done: make(chan struct{})}
	w.state.Store(&state{set: set, changed: make(chan struct{})})
	go w.follow(ctx)
	return w, nil
}

// begin starts watching before it reads, so that no change falls between the two.
func begin(path string) (raw []byte, set Set, fs *fsnotify.Watcher, err error) {
	if fs, err = fsnotify.NewWatcher(); err != nil {
		return nil, Set{}, nil, fmt.Errorf("watch the endpoints file: %w", err)
	}
	if err = fs.Add(filepath.Dir(path)); err != nil {
		err = fmt.Errorf("watch the endpoints file's directory, which must exist: %w", err)
	} else if raw, err = os.ReadFile(path); err != nil {
		err = fmt.Errorf("endpoints file, which must exist at the start: %w", err)
	} else if set, err = Parse(raw); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	if err != nil {
		_ = fs.Close() // the first error is the one to report
		return nil, Set{}, nil, err
	}
	return raw, set, fs, nil
}

// Current is the last valid content of the file.
func (w *Watcher) Current() Set { return w.state.Load().set }

// Changed returns a channel that is closed when Current changes. Each channel tells of one change, so call Changed
// before Current, act on Current, then wait: no change is missed, though one may be seen twice.
func (w *Watcher) Changed() <-chan struct{} { return w.state.Load().changed }

// Done is closed once the context of Watch has ended and the Watcher holds no resource any more.
func (w *Watcher) Done() <-chan struct{} { return w.done }

func (w *Watcher) follow(ctx context.Context) {
	defer close(w.done)
	defer w.fs.Close()
	var due <-chan time.Time // not nil while events are being gathered
	for {
		select {
		case <-ctx.Done():
			return
		case <-due:
			due = nil
			w.reload()
		case event, ok := <-w.fs.Events:
			if !ok {
				return
			}
			if due == nil && w.concerns(event) {
				due = time.After(settle)
			}
		case err, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			// Events were lost, perhaps ours.
			w.log.Warn("watching the endpoints file", "error", err)
			if due == nil {
				due = time.After(settle)
			}
		}
	}
}

// concerns is whether the file may have changed. Anything that appears in the directory may be a link on the way to
// the file; what is merely written to, such as a log, is not.
func (w *Watcher) concerns(event fsnotify.Event) bool {
	if event.Name == w.path {
		return event.Op != fsnotify.Chmod
	}
	return event.Has(fsnotify.Create)
}

func (w *Watcher) reload() {
	raw, err := os.ReadFile(w.path)
	if err != nil {
		w.log.Warn("endpoints file cannot be read; the last valid one stays", "error", err)
		return
	}
	if bytes.Equal(raw, w.raw) {
		return
	}
	w.raw = raw
	set, err := Parse(raw)
	if err != nil {
		w.log.Error("endpoints file is invalid; the last valid one stays", "path", w.path, "error", err)
		return
	}
	old := w.state.Swap(&state{set: set, changed: make(chan struct{})})
	close(old.changed)
	w.log.Info("endpoints changed", "version", set.Version, "endpoints", len(set.Endpoints))
}
