package signals

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// rules is Prometheus' file of rules as far as it is looked at; promtool checks the whole of it.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

func readAlerts(dir string) (alerts []Alert, err error) {
	text, err := os.ReadFile(filepath.Join(dir, alertsFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignals, err)
	}
	var from rules
	if err := yaml.Unmarshal(text, &from); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSignals, alertsFile, err)
	}
	for _, group := range from.Groups {
		for _, rule := range group.Rules {
			a := Alert{Query: Query{File: alertsFile, Panel: rule.Alert, Expr: rule.Expr}, Runbook: rule.Annotations["runbook_url"]}
			if a.Metrics, err = metrics(a.Expr); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrSignals, a.Query, err)
			}
			alerts = append(alerts, a)
		}
	}
	return alerts, nil
}
