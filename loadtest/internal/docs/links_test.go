package docs

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"
)

// links are the destinations within the repository, of links and images.
func (p page) links() []string {
	var list []string
	add := func(destination []byte) {
		if u, err := url.Parse(string(destination)); err != nil || u.Scheme == "" {
			list = append(list, string(destination))
		}
	}
	each(p, func(l *ast.Link) { add(l.Destination) })
	each(p, func(i *ast.Image) { add(i.Destination) })
	return list
}

// deadLinks says of each link that leads nowhere why, seen from the repository in dir.
func deadLinks(dir string, p page) []string {
	var dead []string
	for _, link := range p.links() {
		if why := noTarget(dir, p, link); why != "" {
			dead = append(dead, fmt.Sprintf("%s: %s: %s", p.path, link, why))
		}
	}
	return dead
}

// noTarget is why a link leads nowhere, or "".
func noTarget(dir string, p page, link string) string {
	target, anchor, anchored := strings.Cut(link, "#")
	to := p
	if target != "" {
		at := path.Join(path.Dir(p.path), target)
		if strings.HasPrefix(at, "..") {
			return "it leads out of the repository"
		}
		info, err := os.Stat(filepath.Join(dir, at))
		switch {
		case err != nil:
			return "there is no such file"
		case anchored && (info.IsDir() || path.Ext(at) != ".md"):
			return "only documents have anchors"
		case !anchored:
			return ""
		}
		source, err := os.ReadFile(filepath.Join(dir, at))
		if err != nil {
			return err.Error()
		}
		to = parse(at, source)
	}
	if !to.anchors()[anchor] {
		return "there is no such heading"
	}
	return ""
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	found := 0
	for _, p := range pages(t) {
		found += len(p.links())
		for _, dead := range deadLinks(root, p) {
			t.Error(dead)
		}
	}
	require.NotZero(t, found)
}

func TestALinkThatLeadsNowhereIsFound(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "docs"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docs/b.md"), []byte("# One heading\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.yaml"), nil, 0o600))
	for link, why := range map[string]string{
		"b.md":                 "",
		"../docs":              "",
		"b.md#one-heading":     "",
		"#here":                "",
		"https://example.com/": "",
		"c.md":                 "no such file",
		"b.md#two":             "no such heading",
		"#there":               "no such heading",
		"../x.yaml#L3":         "only documents have anchors",
		"../../etc/passwd":     "out of the repository",
	} {
		dead := deadLinks(dir, parse("docs/a.md", []byte("# Here\n\nSee [it]("+link+").\n")))
		if why == "" {
			require.Empty(t, dead, link)
			continue
		}
		require.Len(t, dead, 1, link)
		require.Contains(t, dead[0], why)
	}
	require.Len(t, deadLinks(dir, parse("docs/a.md", []byte("| a |\n|---|\n| ![p](no.png) |\n"))), 1, "images, and in tables")
}
