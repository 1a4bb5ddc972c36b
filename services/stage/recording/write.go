package recording

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"google.golang.org/protobuf/encoding/protojson"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
	"github.com/smaran-v2/smaran/services/stage/scene"
)

// Recorder writes one recording.
type Recorder struct {
	file  *os.File
	to    io.Writer    // the file, or gzip
	gzip  *gzip.Writer // nil: not compressed
	after uint64
}

// Create begins a recording at a path where there is no file yet: an earlier show is not written over. h is Describe's.
func Create(path string, h Header) (*Recorder, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write the recording's header: %w", err)
	}
	if _, err := parseHeader(line); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("begin the recording: %w: an earlier one is not written over; name another file", err)
	case err != nil:
		return nil, fmt.Errorf("begin the recording: %w", err)
	}
	r := &Recorder{file: file, to: file}
	if compressed(path) {
		r.gzip = gzip.NewWriter(file)
		r.to = r.gzip
	}
	if err := r.write(line); err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	return r, nil
}

// Run writes what the scene shows until ctx ends, with the last of it, and closes the file. It must be called once. It ends earlier where
// the file can't be written; then the recording ends there.
func (r *Recorder) Run(ctx context.Context, s *scene.Scene) error {
	err := s.Follow(ctx, 0, 0, r.frame)
	if ctx.Err() != nil {
		err = nil
		if last, version := s.Frame(r.after); last != nil {
			err = r.frame(last, version)
		}
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("the recording %s ends early: %w", r.file.Name(), err)
	}
	return nil
}

// Close closes the file of a recording that is not run.
func (r *Recorder) Close() error {
	var err error
	if r.gzip != nil {
		err = r.gzip.Close()
	}
	return errors.Join(err, r.file.Close())
}

func (r *Recorder) frame(f *stagev1.Frame, version uint64) error {
	line, err := protojson.Marshal(f)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	r.after = version
	return r.write(line)
}

// write is for good: what ends this program leaves a file that can be played up to there.
func (r *Recorder) write(line []byte) error {
	if _, err := r.to.Write(append(line, '\n')); err != nil {
		return err
	}
	if r.gzip != nil {
		return r.gzip.Flush()
	}
	return nil
}
