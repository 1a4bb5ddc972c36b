package watch

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
)

// ErrFleet: the control API did not answer.
var ErrFleet = errors.New("the fleet does not answer")

// Fleet asks the control API for the fleet's status. It fails with ErrFleet.
func Fleet(ctx context.Context, fleet fleetv1connect.FleetServiceHandler) (*fleetv1.StatusResponse, error) {
	res, err := fleet.Status(ctx, connect.NewRequest(&fleetv1.StatusRequest{}))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFleet, err)
	}
	return res.Msg, nil
}
