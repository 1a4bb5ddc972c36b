package signals

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// dashboard is Grafana's JSON as far as it is looked at; Grafana's own types are checked against the whole of it in a test.
type dashboard struct {
	Panels []panel `json:"panels"`
}

type panel struct {
	Type        string  `json:"type"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Panels      []panel `json:"panels"` // of a row that is collapsed
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		RefID string `json:"refId"`
		Expr  string `json:"expr"`
	} `json:"targets"`
}

func readDashboard(dir, file string) ([]Panel, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignals, err)
	}
	var board dashboard
	if err := json.Unmarshal(text, &board); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSignals, file, err)
	}
	return readPanels(file, board.Panels)
}

func readPanels(file string, from []panel) (panels []Panel, err error) {
	for _, p := range from {
		if p.Type == "row" {
			inside, err := readPanels(file, p.Panels)
			if err != nil {
				return nil, err
			}
			panels = append(panels, inside...)
			continue
		}
		read := Panel{File: file, Title: p.Title, Kind: p.Type, Description: p.Description, Unit: p.FieldConfig.Defaults.Unit}
		for _, target := range p.Targets {
			q := Query{File: file, Panel: p.Title, RefID: target.RefID}
			if q.Expr, err = substitute(target.Expr); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrSignals, q, err)
			}
			if q.Metrics, err = metrics(q.Expr); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrSignals, q, err)
			}
			read.Queries = append(read.Queries, q)
		}
		panels = append(panels, read)
	}
	return panels, nil
}

// values are what Grafana would put in for its variables: an interval that holds some scrapes, and no pod chosen.
var values = map[string]string{
	"__rate_interval": "1m",
	"__interval":      "15s",
	"__range":         "15m",
	"pod":             "",
}

var variable = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

func substitute(expr string) (string, error) {
	var unknown error
	replaced := variable.ReplaceAllStringFunc(expr, func(found string) string {
		name := variable.FindStringSubmatch(found)
		value, ok := values[name[1]+name[2]]
		if !ok {
			unknown = fmt.Errorf("no value for the variable %s", found)
		}
		return value
	})
	return replaced, unknown
}
