package engine

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/smaran-v2/smaran/services/wire"
)

// probeTime bounds the probe; a cold answer takes under a second.
const probeTime = 5 * time.Second

// probe asks once without a session header and says what came back: a strict fleet answers 400, a lenient one an inference.
func probe(ctx context.Context, transport http.RoundTripper, baseURL string) string {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+wire.PathInference, nil)
	if err != nil {
		return err.Error()
	}
	res, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	p, err := wire.ReadProblem(res)
	if err != nil {
		return fmt.Sprintf("%d, served by %s", res.StatusCode, res.Header.Get(wire.HeaderPod))
	}
	return fmt.Sprintf("%d %s", p.Status, p.Code)
}
