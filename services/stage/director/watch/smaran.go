package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/wire"
)

// ErrSmaran: a coordinator did not answer, or not as one does.
var ErrSmaran = errors.New("smaran does not answer")

// maxAnswer bounds what is read of one answer, in bytes; a thousand sessions are 0.2 MB.
const maxAnswer = 32 << 20

// Smaran asks the coordinator at a base URL for its pods and their sessions. It fails with ErrSmaran.
func Smaran(ctx context.Context, client *http.Client, baseURL string) (*smaranv1.GetFleetResponse, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(baseURL, "/")+wire.PathFleet+"?sessions=true", nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSmaran, err)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSmaran, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSmaran, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s", ErrSmaran, res.Status)
	}
	out := &smaranv1.GetFleetResponse{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, out); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSmaran, err)
	}
	return out, nil
}
