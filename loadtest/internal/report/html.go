package report

import (
	"embed"
	"html/template"
	"io"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

//go:embed assets
var assets embed.FS

// WriteHTML writes one page that holds everything it needs. Several reports are laid over one another by their label.
func WriteHTML(w io.Writer, reports ...*reportv1.Report) error {
	t, err := template.ParseFS(assets, "assets/*.gohtml")
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, "page", map[string]any{"Groups": groupsOf(reports), "Claims": MergeClaims(reports)})
}
