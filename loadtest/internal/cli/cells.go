package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/smaran-v2/smaran/loadtest/internal/engine"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// cells are the results of a compare so far, a file each, so that an interrupted one can go on.
type cells struct {
	dir string
	// fresh is that create made the folder of dir too.
	fresh bool
}

const (
	cellsDir   = "cells"
	flagsFile  = "flags.json"
	headerFile = "run.json"
)

// errResume is returned for a folder that no compare began.
var errResume = errors.New("can't resume")

// create starts a folder: the flags that make the runs, and what describes them.
func (c *cells) create(flags *compareCmd, run *reportv1.Run) error {
	_, err := os.Stat(filepath.Dir(c.dir))
	c.fresh = errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(filepath.Join(c.dir, cellsDir), 0o755); err != nil {
		return fmt.Errorf("make the run's folder: %w", err)
	}
	raw, err := json.MarshalIndent(flags, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the flags: %w", err)
	}
	return errors.Join(c.put(flagsFile, raw), c.putProto(headerFile, run))
}

// discard removes what create made, where nothing was measured that would be worth going on with. What else is there stays.
func (c *cells) discard() {
	paths := []string{filepath.Join(cellsDir, flagsFile), filepath.Join(cellsDir, headerFile), cellsDir, "."}
	if c.fresh {
		paths = append(paths, "..")
	}
	for _, path := range paths {
		_ = os.Remove(filepath.Join(c.dir, path)) // a folder that stays is no reason to hide why nothing was measured
	}
}

// load reads them back; where it is resumed from is not a flag of the runs.
func (c *cells) load(flags *compareCmd, run *reportv1.Run) error {
	resume, fleet := flags.Resume, flags.Fleet
	raw, err := os.ReadFile(filepath.Join(c.dir, cellsDir, flagsFile))
	if err != nil {
		return fmt.Errorf("%w: %s was not begun by compare: %w", errResume, c.dir, err)
	}
	if err := json.Unmarshal(raw, flags); err != nil {
		return fmt.Errorf("%w: %s: %w", errResume, flagsFile, err)
	}
	flags.Resume, flags.Fleet = resume, fleet
	return c.getProto(headerFile, run)
}

// save keeps one result. One that is invalid stays: it would be no better for being left out.
func (c *cells) save(s engine.Spec, r *reportv1.Result) error {
	return c.putProto(cellName(s.Scenario.Name, s.Backend, s.Repeat), r)
}

// split gives the results that are there, and the runs that are missing.
func (c *cells) split(specs []engine.Spec) (had []*reportv1.Result, missing []engine.Spec, err error) {
	for _, s := range specs {
		r := &reportv1.Result{}
		err := c.getProto(cellName(s.Scenario.Name, s.Backend, s.Repeat), r)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, s)
		case err != nil:
			return nil, nil, err
		default:
			had = append(had, r)
		}
	}
	return had, missing, nil
}

// cellName is a run's file.
func cellName(scenario, backend string, repeat int) string {
	return fmt.Sprintf("%s.%s.%d.json", scenario, strings.ReplaceAll(backend, ":", "-"), repeat)
}

func nameOf(r *reportv1.Result) string {
	return cellName(r.GetScenario(), r.GetBackend(), int(r.GetRepeat()))
}

func (c *cells) putProto(name string, m proto.Message) error {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return c.put(name, raw)
}

// put writes a file whole or not at all: a later run trusts what it finds.
func (c *cells) put(name string, raw []byte) error {
	path := filepath.Join(c.dir, cellsDir, name)
	half := path + ".part"
	if err := os.WriteFile(half, raw, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(half, path)
}

func (c *cells) getProto(name string, m proto.Message) error {
	raw, err := os.ReadFile(filepath.Join(c.dir, cellsDir, name))
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(raw, m); err != nil {
		return fmt.Errorf("%w: %s: %w", errResume, name, err)
	}
	return nil
}
