package docs

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"

	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// quote is a block below a line such as "From [deploy/base/jarvis.yaml](../deploy/base/jarvis.yaml):".
type quote struct {
	file string // from the repository's root
	text string // empty: the line has no block below it
}

func (p page) quotes() []quote {
	texts := map[ast.Node]string{}
	for _, b := range p.blocks() {
		texts[b.node] = b.text
	}
	var list []quote
	each(p, func(n *ast.Paragraph) {
		said := p.words(n)
		if !strings.HasPrefix(said, "From ") || !strings.HasSuffix(said, ":") {
			return
		}
		if link, ok := n.FirstChild().NextSibling().(*ast.Link); ok {
			list = append(list, quote{file: path.Join(path.Dir(p.path), string(link.Destination)), text: texts[n.NextSibling()]})
		}
	})
	return list
}

// misquoted says of each quote that is not in its file, line for line, however far indented, what is wrong.
func misquoted(dir string, p page) []string {
	var wrong []string
	for _, q := range p.quotes() {
		file, err := os.ReadFile(filepath.Join(dir, q.file))
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("%s quotes %s: %v", p.path, q.file, err))
		case q.text == "":
			wrong = append(wrong, fmt.Sprintf("%s quotes nothing from %s", p.path, q.file))
		case !holds(string(file), q.text):
			wrong = append(wrong, fmt.Sprintf("%s: this is not in %s:\n%s", p.path, q.file, q.text))
		}
	}
	return wrong
}

func holds(file, quoted string) bool {
	lines := strings.Split(file, "\n")
	wanted := outdent(strings.Split(strings.TrimRight(quoted, "\n"), "\n"))
	for i := 0; i+len(wanted) <= len(lines); i++ {
		if slices.Equal(outdent(lines[i:i+len(wanted)]), wanted) {
			return true
		}
	}
	return false
}

// outdent takes away the first line's indentation, from all that have as much.
func outdent(lines []string) []string {
	indent := lines[0][:len(lines[0])-len(strings.TrimLeft(lines[0], " "))]
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.TrimPrefix(line, indent)
	}
	return out
}

func TestQuotedManifestsAreThoseOfTheRepository(t *testing.T) {
	for _, p := range pages(t) {
		for _, wrong := range misquoted(root, p) {
			t.Error(wrong)
		}
	}
}

func TestEveryBackendHasAPageThatQuotesItsManifest(t *testing.T) {
	byPath := map[string]page{}
	for _, p := range pages(t) {
		byPath[p.path] = p
	}
	for _, name := range backend.Names() {
		p, there := byPath["docs/backends/"+string(name)+".md"]
		require.True(t, there, name)
		require.NotEmpty(t, p.quotes(), name)
		require.Contains(t, p.links(), "../../deploy/overlays/"+string(name)+"/kustomization.yaml")
	}
}

func TestAManifestThatChangedIsFound(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "m.yaml"), []byte("spec:\n  labels:\n    a: b\n    c: d\n"), 0o600))
	const from = "From [m.yaml](../m.yaml):\n\n"
	for text, why := range map[string]string{
		from + "    labels:\n      a: b\n":       "",
		from + "```yaml\n  c: d\n```\n":          "",
		from + "    labels:\n      a: changed":   "this is not in",
		from + "    labels:\n    a: b\n":         "this is not in", // another indentation is another manifest
		from + "    labels:\n      c: d\n":       "this is not in",
		from + "and nothing below.\n":            "quotes nothing",
		"From [m.yaml](n.yaml):\n\n    a: b\n":   "no such file",
		"A block by itself:\n\n    a: changed\n": "",
	} {
		wrong := misquoted(dir, parse("docs/a.md", []byte(text)))
		if why == "" {
			require.Empty(t, wrong, text)
			continue
		}
		require.Len(t, wrong, 1, text)
		require.Contains(t, wrong[0], why)
	}
}
