package docs

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// root is the repository's, seen from this package.
const root = "../../.."

// page is a document: a path from the repository's root, with slashes, and what is in it.
type page struct {
	path   string
	source []byte
	tree   ast.Node
}

func parse(path string, source []byte) page {
	tree := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	return page{path: path, source: source, tree: tree}
}

// pages are README.md, CONTRIBUTING.md and all of docs/.
func pages(t *testing.T) []page {
	t.Helper()
	paths := []string{"README.md", "CONTRIBUTING.md"}
	require.NoError(t, filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			path, err = filepath.Rel(root, path)
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	}))
	var list []page
	for _, path := range paths {
		source, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		list = append(list, parse(path, source))
	}
	return list
}

// each calls f for every node of kind N.
func each[N ast.Node](p page, f func(N)) {
	_ = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if match, ok := n.(N); ok && entering {
			f(match)
		}
		return ast.WalkContinue, nil
	})
}

// words is the text of a node without its marks.
func (p page) words(n ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Text:
			if entering {
				b.Write(n.Segment.Value(p.source))
			}
		case *ast.String:
			if entering {
				b.Write(n.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// block is a code block, indented or fenced, and the line at which it begins.
type block struct {
	line int
	text string
	node ast.Node
}

func (p page) blocks() []block {
	var list []block
	add := func(n ast.Node) {
		if n.Lines().Len() == 0 {
			return
		}
		line := 1 + bytes.Count(p.source[:n.Lines().At(0).Start], []byte("\n"))
		list = append(list, block{line: line, text: string(n.Lines().Value(p.source)), node: n})
	}
	each(p, func(n *ast.CodeBlock) { add(n) })
	each(p, func(n *ast.FencedCodeBlock) { add(n) })
	return list
}

// anchors are what GitHub makes of the headings.
func (p page) anchors() map[string]bool {
	known := map[string]bool{}
	seen := map[string]int{}
	each(p, func(h *ast.Heading) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsNumber(r):
				return unicode.ToLower(r)
			}
			return -1
		}, p.words(h))
		if n := seen[slug]; n > 0 {
			known[slug+"-"+strconv.Itoa(n)] = true
		} else {
			known[slug] = true
		}
		seen[slug]++
	})
	return known
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	p := parse("x.md", []byte("# 400 `session_missing`: why?\n\n## What's [new](y.md)\n\n## Two words\n\n## Two words\n"))
	require.Equal(t, map[string]bool{"400-session_missing-why": true, "whats-new": true, "two-words": true, "two-words-1": true}, p.anchors())
}
