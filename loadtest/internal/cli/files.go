package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/smaran-v2/smaran/loadtest/internal/report"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// checkFiles fails with errUsage where a file that the flags ask for can't be written: that is better known before a measurement than after.
func (c *runCmd) checkFiles() error {
	for _, file := range []struct{ flag, path string }{{"--json", c.JSON}, {"--html", c.HTML}, {"--hgrm", c.HGRM}} {
		if file.path == "" {
			continue
		}
		if err := tryFile(file.path); err != nil {
			return fmt.Errorf("%w: %s %s: it can't be written: %w", errUsage, file.flag, file.path, err)
		}
	}
	return nil
}

// write puts the report where the flags say, and the distributions. What can't be written is no reason to leave out the others, and a report
// that is then nowhere in full goes to a folder of its own.
func (c *runCmd) write(a *app, r *reportv1.Report, distributions []byte) error {
	var errs []error
	if c.HGRM != "" {
		errs = append(errs, writeFile(c.HGRM, func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(distributions))
			return err
		}))
	}
	own := c.JSON == "" && c.HTML == ""
	if c.JSON != "" {
		err := writeFile(c.JSON, func(w io.Writer) error { return report.WriteJSON(w, r) })
		own, errs = own || err != nil, append(errs, err)
	}
	if c.HTML != "" {
		err := writeFile(c.HTML, func(w io.Writer) error { return report.WriteHTML(w, r) })
		own, errs = own || err != nil, append(errs, err)
	}
	if own {
		errs = append(errs, a.save(c.folder(r), r))
	}
	return errors.Join(errs...)
}

// writeFile writes a whole file, making its folder.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := open(path, os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return errors.Join(write(f), f.Close())
}

// tryFile fails where writeFile would, and leaves what is there. The folder is made, and stays.
func tryFile(path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // a pipe would wait for its reader, who would take this for the end
	}
	_, err := os.Lstat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	f, err := open(path, 0)
	if err != nil {
		return err
	}
	err = f.Close()
	if fresh {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// open opens a file to write, making it and its folder.
func open(path string, flags int) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flags, 0o666)
}
