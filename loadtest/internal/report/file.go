package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// SchemaVersion is what writers of report.v1 put into Report.schema_version. The first number is the major: a reader
// refuses one that it does not know. The second counts additions.
const SchemaVersion = "report.v1.1"

const (
	schemaPrefix = "report.v"
	schemaMajor  = 1
	schemaMinor  = 1
)

// Names of the files in a run's folder.
const (
	JSONFile = "report.json"
	HTMLFile = "report.html"
)

// Errors of Load; both come wrapped with the file and what was found in it.
var (
	// ErrSchema is returned for a report of another major version, or without one.
	ErrSchema = errors.New("report: unknown schema version")
	// ErrFormat is returned for what is not a report.v1 in JSON.
	ErrFormat = errors.New("report: not a report.v1")
)

// Save writes report.json and report.html into dir, which is made if it is missing. Each file appears whole or not at all.
func Save(dir string, r *reportv1.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the run's folder: %w", err)
	}
	if err := saveFile(filepath.Join(dir, JSONFile), func(w io.Writer) error { return WriteJSON(w, r) }); err != nil {
		return err
	}
	return SaveHTML(filepath.Join(dir, HTMLFile), r)
}

// SaveHTML writes the HTML report to path.
func SaveHTML(path string, reports ...*reportv1.Report) error {
	return saveFile(path, func(w io.Writer) error { return WriteHTML(w, reports...) })
}

// WriteJSON writes the report as indented JSON with the proto's field names.
func WriteJSON(w io.Writer, r *reportv1.Report) error {
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	// protojson varies its spaces on purpose; indenting again makes the file the same for the same report.
	var raw json.RawMessage = b
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(raw); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Load reads a report.json. It is strict: a field that it does not know is an error, unless the file is of a later minor
// version, whose additions it can do without. Errors are ErrSchema, ErrFormat, or those of reading the file.
func Load(path string) (*reportv1.Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	r, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func parse(b []byte) (*reportv1.Report, error) {
	var head struct {
		SchemaVersion string `json:"schema_version"`
		CamelVersion  string `json:"schemaVersion"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	version := head.SchemaVersion
	if version == "" {
		version = head.CamelVersion
	}
	minor, err := schemaMinorOf(version)
	if err != nil {
		return nil, err
	}
	r := &reportv1.Report{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: minor > schemaMinor}).Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return r, nil
}

func schemaMinorOf(version string) (int, error) {
	wrong := fmt.Errorf("%w %q, want %s%d.x: make the report again with this version of loadtest",
		ErrSchema, version, schemaPrefix, schemaMajor)
	numbers, ok := strings.CutPrefix(version, schemaPrefix)
	if !ok {
		return 0, wrong
	}
	majorText, minorText, _ := strings.Cut(numbers, ".")
	major, err := strconv.Atoi(majorText)
	if err != nil || major != schemaMajor {
		return 0, wrong
	}
	minor, err := strconv.Atoi(minorText)
	if err != nil || minor < 0 {
		return 0, wrong
	}
	return minor, nil
}

// saveFile writes a file beside its place and renames it, so that a reader never sees half of it.
func saveFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
