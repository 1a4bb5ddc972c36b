package recording

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/services/runinfo"
)

// Schema of the files that are written, and the only one that is read.
const Schema = "smaran.stage.recording/1"

// Errors of Open, Read and Create.
var (
	// ErrFormat: the file is no recording, or a broken one. The error says which line.
	ErrFormat = errors.New("not a recording")
	// ErrTooLarge: the file, or a line of it, is larger than what is played.
	ErrTooLarge = errors.New("recording too large")
)

// Header is the first line of a recording.
type Header struct {
	Schema string `json:"schema"`
	// Recorded is when it began.
	Recorded time.Time `json:"recorded"`
	// Machine and Command say where it was recorded, and what with. The command has no secret in it.
	Machine string `json:"machine"`
	Command string `json:"command"`
	// Versions of the programs, by name.
	Versions map[string]string `json:"versions"`
}

// Describe is the header of what this machine records from now on with a command.
func Describe(ctx context.Context, command string, now time.Time) (Header, error) {
	machine, err := runinfo.Machine(ctx)
	if err != nil {
		return Header{}, err
	}
	return Header{Schema: Schema, Recorded: now, Machine: runinfo.Describe(machine), Command: command, Versions: runinfo.Versions()}, nil
}

func parseHeader(line []byte) (Header, error) {
	var h Header
	// The schema first: of another one nothing else is known.
	var only struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(line, &only); err != nil || only.Schema == "" {
		return h, fmt.Errorf("%w: line 1 is no header of one", ErrFormat)
	}
	if only.Schema != Schema {
		return h, fmt.Errorf("%w of this version: its schema is %q, expected %q", ErrFormat, only.Schema, Schema)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return h, fmt.Errorf("%w: line 1: %w", ErrFormat, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return h, fmt.Errorf("%w: line 1 has more than the header", ErrFormat)
	}
	if h.Recorded.IsZero() || h.Machine == "" || h.Command == "" {
		return h, fmt.Errorf("%w: line 1 does not say when, where and by which command it was made", ErrFormat)
	}
	return h, nil
}

// compressed is whether a file of this name is.
func compressed(name string) bool { return strings.HasSuffix(name, ".gz") }
