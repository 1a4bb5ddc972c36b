package driver

import (
	"context"
	"fmt"
	"net/http"

	"connectrpc.com/connect"

	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
)

// Steering is a fleet's control API.
type Steering struct {
	client fleetv1connect.FleetServiceClient
}

// NewSteering talks to the control API at a base URL.
func NewSteering(client *http.Client, baseURL string) Steering {
	return Steering{fleetv1connect.NewFleetServiceClient(client, baseURL)}
}

// Status asks the fleet.
func (s Steering) Status(ctx context.Context) (*fleetv1.StatusResponse, error) {
	res, err := s.client.Status(ctx, connect.NewRequest(&fleetv1.StatusRequest{}))
	if err != nil {
		return nil, fmt.Errorf("ask the fleet for its status: %w", err)
	}
	return res.Msg, nil
}

// Do implements Fleet.
func (s Steering) Do(ctx context.Context, e scenario.Event) (pod string, err error) {
	switch e.Kind {
	case scenario.KindScale:
		_, err = s.client.Scale(ctx, connect.NewRequest(&fleetv1.ScaleRequest{Pods: uint32(e.Pods)}))
	case scenario.KindKill:
		return hit(s.client.Kill(ctx, connect.NewRequest(&fleetv1.KillRequest{Pod: e.Pod})))
	case scenario.KindStop:
		return hit(s.client.Stop(ctx, connect.NewRequest(&fleetv1.StopRequest{Pod: e.Pod})))
	case scenario.KindFreeze:
		return hit(s.client.Freeze(ctx, connect.NewRequest(&fleetv1.FreezeRequest{Pod: e.Pod})))
	case scenario.KindThaw:
		_, err = s.client.Thaw(ctx, connect.NewRequest(&fleetv1.ThawRequest{Pod: e.Pod}))
		pod = e.Pod
	case scenario.KindRollout:
		_, err = s.client.Rollout(ctx, connect.NewRequest(&fleetv1.RolloutRequest{}))
	case scenario.KindRedis:
		_, err = s.client.SetRedis(ctx, connect.NewRequest(&fleetv1.SetRedisRequest{Up: e.Up}))
	case scenario.KindSmaran:
		_, err = s.client.KillSmaran(ctx, connect.NewRequest(&fleetv1.KillSmaranRequest{}))
	default:
		return "", fmt.Errorf("%w: the fleet can't %s", scenario.ErrEvent, e.Name())
	}
	return pod, err
}

// hit is the pod that a reply names.
func hit[M any, P interface {
	*M
	GetPod() string
}](res *connect.Response[M], err error) (string, error) {
	if err != nil {
		return "", err
	}
	return P(res.Msg).GetPod(), nil
}

// down asks the fleet to end.
func (s Steering) down(ctx context.Context) error {
	_, err := s.client.Down(ctx, connect.NewRequest(&fleetv1.DownRequest{}))
	return err
}
