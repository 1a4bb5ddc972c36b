package endpoints

import (
	"fmt"
	"os"
	"path/filepath"
)

// ReadFile parses the file at path. It fails with ErrInvalid for its content, or as os.ReadFile does.
func ReadFile(path string) (Set, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Set{}, fmt.Errorf("endpoints file: %w", err)
	}
	s, err := Parse(b)
	if err != nil {
		return Set{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// WriteFile replaces the file at path by a rename within its directory, which is the only change that Envoy watches for
// and which never shows a reader half a file. Anyone may read the result, as Envoy may run as another user.
func WriteFile(path string, s Set) (err error) {
	b, err := s.Marshal()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("endpoints file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error is the one to report
			err = fmt.Errorf("endpoints file: %w", err)
		}
	}()
	if _, err = f.Write(b); err != nil {
		_ = f.Close()
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		_ = f.Close()
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
