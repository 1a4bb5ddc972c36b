package stage

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

// page is the files of the page, each with its hash: a browser asks whether it has the last one, and loads it only where not.
type page struct{ files map[string]file }

type file struct {
	content []byte
	etag    string
}

func newFile(content []byte) file {
	sum := sha256.Sum256(content)
	return file{content: content, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
}

func (f file) serve(w http.ResponseWriter, r *http.Request, name string) {
	w.Header().Set("ETag", f.etag)
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.content))
}

const indexFile = "index.html"

func newPage(from fs.FS) (*page, error) {
	p := &page{files: map[string]file{}}
	err := fs.WalkDir(from, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		p.files[path] = newFile(content)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: read the page: %w", ErrOptions, err)
	}
	if _, found := p.files[indexFile]; !found {
		return nil, fmt.Errorf("%w: the page has no %s", ErrOptions, indexFile)
	}
	return p, nil
}

func (p *page) index(w http.ResponseWriter, r *http.Request) { p.serve(w, r, indexFile) }

func (p *page) asset(w http.ResponseWriter, r *http.Request) {
	p.serve(w, r, strings.TrimPrefix(r.URL.Path, pathAssets))
}

func (p *page) serve(w http.ResponseWriter, r *http.Request, name string) {
	f, found := p.files[name]
	if !found {
		notFound(w, r)
		return
	}
	f.serve(w, r, name)
}
