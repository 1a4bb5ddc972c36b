package signals

import (
	"errors"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

var errUnnamed = errors.New("it selects series without naming their metric")

// metrics are the names of the series that expr selects, sorted, as Prometheus' own parser reads it.
func metrics(expr string) (names []string, err error) {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			if selector.Name == "" {
				err = errUnnamed
			}
			names = append(names, selector.Name)
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names), err
}
