package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

//go:embed assets
var assets embed.FS

// WriteHTML writes one page that holds everything it needs: it loads nothing, and its Content-Security-Policy forbids that it
// could. Several reports are laid over one another by their label.
func WriteHTML(w io.Writer, reports ...*reportv1.Report) error {
	style, err := assets.ReadFile("assets/style.css")
	if err != nil {
		return fmt.Errorf("render the report: %w", err)
	}
	script, err := assets.ReadFile("assets/report.js")
	if err != nil {
		return fmt.Errorf("render the report: %w", err)
	}
	t, err := template.New("report").Funcs(template.FuncMap{"caption": withCaption, "words": wordsOf}).ParseFS(assets, "assets/*.gohtml")
	if err != nil {
		return fmt.Errorf("render the report: %w", err)
	}
	p := buildPage(reports)
	p.Style, p.Script = template.CSS(style), template.JS(script) //nolint:gosec // our own files
	sum := sha256.Sum256(script)
	p.Policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if err := t.ExecuteTemplate(w, "page", p); err != nil {
		return fmt.Errorf("render the report: %w", err)
	}
	return nil
}

// captioned is a table with its name.
type captioned struct {
	Table   tableView
	Caption string
}

func withCaption(t tableView, caption string) captioned { return captioned{t, caption} }

// word is a word of a headline. One that is whole is not broken at its dashes.
type word struct {
	Text  string
	Whole bool
}

func wordsOf(sentence string) []word {
	var out []word
	for _, w := range strings.Fields(sentence) {
		out = append(out, word{w, strings.Contains(w, "-")})
	}
	return out
}
