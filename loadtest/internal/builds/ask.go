package builds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/smaran-v2/smaran/services/version"
	"github.com/smaran-v2/smaran/services/wire"
)

// ErrMetrics is returned for metrics that do not say which build runs.
var ErrMetrics = errors.New("no " + wire.MetricBuildInfo + " in the metrics")

// Bounds of one question: a frozen pod does not answer.
const (
	askTimeout = 3 * time.Second
	maxAnswer  = 4 << 20
)

// Ask is the revision of the service whose admin port is at a base URL. It is version.Unknown, with the reason, where that does not say.
func Ask(ctx context.Context, client *http.Client, admin string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+wire.PathMetrics, nil)
	if err != nil {
		return version.Unknown, err
	}
	res, err := client.Do(req)
	if err != nil {
		return version.Unknown, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return version.Unknown, fmt.Errorf("%w: %s", ErrMetrics, res.Status)
	}
	return read(io.LimitReader(res.Body, maxAnswer))
}

func read(r io.Reader) (string, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return version.Unknown, fmt.Errorf("%w: %w", ErrMetrics, err)
	}
	for _, m := range families[wire.MetricBuildInfo].GetMetric() {
		for _, l := range m.GetLabel() {
			if revision := strings.TrimSpace(l.GetValue()); l.GetName() == wire.LabelRevision && revision != "" {
				return revision, nil
			}
		}
	}
	return version.Unknown, ErrMetrics
}
