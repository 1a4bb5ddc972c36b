package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	runPrefix = "run-"
	logsName  = "logs"
)

// runDir holds all files of one run. A lock on it tells the next run whether it is still in use, so that what a killed
// fleet left behind is removed by the next one.
type runDir struct {
	path string
	lock *os.File
	// made are the directories above it that did not exist before, deepest first.
	made []string
}

func newRunDir(dir string) (_ *runDir, err error) {
	dir, err = filepath.Abs(dir) // children may be started elsewhere
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	made := missing(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	defer func() {
		if err != nil {
			removeEmpty(made)
			err = fmt.Errorf("run directory: %w", err)
		}
	}()
	// Held while the new directory is made and locked, so that nobody sweeps it in between.
	parent, err := lockDir(dir, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := sweep(dir); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(dir, runPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(path, syscall.LOCK_EX)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	d := &runDir{path: path, lock: lock, made: made}
	return d, os.Mkdir(d.logs(), 0o755)
}

func (d *runDir) logs() string           { return filepath.Join(d.path, logsName) }
func (d *runDir) log(name string) string { return filepath.Join(d.logs(), name+".log") }
func (d *runDir) endpointsFile() string  { return filepath.Join(d.path, "endpoints.json") }

// lateEndpointsFile is the second way's (see way).
func (d *runDir) lateEndpointsFile() string { return filepath.Join(d.path, "endpoints-late.json") }

// remove deletes all of it, and the directories above that it had to make. With keep the logs stay, at the returned path.
func (d *runDir) remove(keep bool) (kept string, err error) {
	defer d.lock.Close()
	if keep {
		kept = filepath.Join(filepath.Dir(d.path), logsName+"-"+strings.TrimPrefix(filepath.Base(d.path), runPrefix))
		if err := os.Rename(d.logs(), kept); err != nil {
			return "", fmt.Errorf("keep the logs: %w", err)
		}
	}
	if err := os.RemoveAll(d.path); err != nil {
		return kept, fmt.Errorf("remove the run's files: %w", err)
	}
	removeEmpty(d.made)
	return kept, nil
}

// sweep removes the directories of runs that nobody holds any more.
func sweep(dir string) error {
	old, err := filepath.Glob(filepath.Join(dir, runPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range old {
		lock, err := lockDir(path, syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		}
		err = os.RemoveAll(path)
		_ = lock.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// lockDir returns the directory opened and locked; closing it unlocks it.
func lockDir(path string, how int) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// missing lists those of dir and its parents that do not exist, deepest first.
func missing(dir string) (list []string) {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return list
		}
		list = append(list, dir)
		dir = filepath.Dir(dir)
	}
}

func removeEmpty(dirs []string) {
	for _, dir := range dirs {
		if os.Remove(dir) != nil {
			return // somebody else put something there
		}
	}
}
