package recording

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	stagev1 "github.com/smaran-v2/smaran/proto/stage/v1"
)

const (
	// maxLine is the longest line, in bytes: a whole frame of some ten thousand sessions.
	maxLine = 16 << 20
	// maxFile is the longest text, in bytes: hours of a full stage. What is played is in memory.
	maxFile = 512 << 20
)

// Recording is one that was read. It must not be changed.
type Recording struct {
	Header Header
	// Notice says what is missing at its end; empty: nothing.
	Notice string

	frames []*stagev1.Frame
}

// Length is the time of its last frame.
func (r *Recording) Length() time.Duration { return at(r.frames[len(r.frames)-1]) }

// Start is the time of its first frame.
func (r *Recording) Start() time.Duration { return at(r.frames[0]) }

func at(f *stagev1.Frame) time.Duration {
	return time.Duration(f.GetAtMs() * float64(time.Millisecond))
}

// Open reads the recording at a path. It fails as Read does.
func Open(path string) (*Recording, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the recording: %w", err)
	}
	defer file.Close()
	var text io.Reader = file
	if compressed(path) {
		if text, err = gzip.NewReader(file); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFormat, path, err)
		}
	}
	r, err := Read(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Read reads a recording's text. One that was cut off while it was written is read up to there, and has a notice. It fails with ErrFormat,
// ErrTooLarge, or what the reader failed with.
func Read(text io.Reader) (*Recording, error) {
	limited := &io.LimitedReader{R: text, N: maxFile + 1}
	lines := &lines{reader: bufio.NewReaderSize(limited, 64<<10)}
	first, err := lines.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: it is empty", ErrFormat)
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF): // a header alone is one, too
		return nil, err
	}
	r := new(Recording)
	if r.Header, err = parseHeader(first); err != nil {
		return nil, err
	}
	for {
		line, err := lines.next()
		if limited.N <= 0 {
			return nil, fmt.Errorf("%w: more than %d MiB", ErrTooLarge, maxFile>>20)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		cut := errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !cut {
			return nil, err
		}
		frame, err := r.parse(line)
		switch {
		case err == nil:
			r.frames = append(r.frames, frame)
		case cut:
			r.Notice = fmt.Sprintf("it ends in the middle of line %d: it was cut off at %.1f s", lines.count, r.end().Seconds())
		default:
			return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, lines.count, err)
		}
		if cut {
			break
		}
	}
	if len(r.frames) == 0 {
		return nil, fmt.Errorf("%w: it has no frame", ErrFormat)
	}
	return r, nil
}

func (r *Recording) end() time.Duration {
	if len(r.frames) == 0 {
		return 0
	}
	return r.Length()
}

var (
	errNotWhole = errors.New("the first frame is not whole")
	errTime     = errors.New("its time is before that of the line above, or none")
)

func (r *Recording) parse(line []byte) (*stagev1.Frame, error) {
	f := new(stagev1.Frame)
	if err := protojson.Unmarshal(line, f); err != nil {
		return nil, err
	}
	if len(r.frames) == 0 && !f.GetWhole() {
		return nil, errNotWhole
	}
	// As a Duration it has to fit.
	if ms := f.GetAtMs(); math.IsNaN(ms) || ms < 0 || ms > maxMillis || at(f) < r.end() {
		return nil, errTime
	}
	return f, nil
}

const maxMillis = float64(100 * 24 * time.Hour / time.Millisecond)

// lines of a text.
type lines struct {
	reader *bufio.Reader
	count  int
}

// next is the next line without its end. It fails with io.EOF after the last one; with io.ErrUnexpectedEOF it returns what there is of a
// line that has no end.
func (l *lines) next() ([]byte, error) {
	l.count++
	var line []byte
	for {
		part, err := l.reader.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("%w: line %d is longer than %d MiB", ErrTooLarge, l.count, maxLine>>20)
		}
		switch {
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the latter is a compressed file's
			return line, io.ErrUnexpectedEOF
		default:
			return nil, fmt.Errorf("read the recording: %w", err)
		}
	}
}
