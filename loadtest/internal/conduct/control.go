package conduct

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
)

// control serves fleet.v1 for a fleet: driver.Steering's other end. Taking the fleet down is not the generator's to ask for.
type control struct {
	fleetv1connect.UnimplementedFleetServiceHandler
	fleet driver.Fleet
}

func (c control) Status(ctx context.Context, _ *connect.Request[fleetv1.StatusRequest]) (*connect.Response[fleetv1.StatusResponse], error) {
	s, err := c.fleet.Status(ctx)
	return reply(s, err)
}

func (c control) Scale(ctx context.Context, r *connect.Request[fleetv1.ScaleRequest]) (*connect.Response[fleetv1.ScaleResponse], error) {
	_, err := c.fleet.Do(ctx, scenario.Event{Kind: scenario.KindScale, Pods: int(r.Msg.GetPods())})
	return reply(&fleetv1.ScaleResponse{}, err)
}

func (c control) Kill(ctx context.Context, r *connect.Request[fleetv1.KillRequest]) (*connect.Response[fleetv1.KillResponse], error) {
	pod, err := c.fleet.Do(ctx, scenario.Event{Kind: scenario.KindKill, Pod: r.Msg.GetPod()})
	return reply(&fleetv1.KillResponse{Pod: pod}, err)
}

func (c control) Stop(ctx context.Context, r *connect.Request[fleetv1.StopRequest]) (*connect.Response[fleetv1.StopResponse], error) {
	pod, err := c.fleet.Do(ctx, scenario.Event{Kind: scenario.KindStop, Pod: r.Msg.GetPod()})
	return reply(&fleetv1.StopResponse{Pod: pod}, err)
}

func (c control) Freeze(ctx context.Context, r *connect.Request[fleetv1.FreezeRequest]) (*connect.Response[fleetv1.FreezeResponse], error) {
	pod, err := c.fleet.Do(ctx, scenario.Event{Kind: scenario.KindFreeze, Pod: r.Msg.GetPod()})
	return reply(&fleetv1.FreezeResponse{Pod: pod}, err)
}

func (c control) Thaw(ctx context.Context, r *connect.Request[fleetv1.ThawRequest]) (*connect.Response[fleetv1.ThawResponse], error) {
	pod, err := c.fleet.Do(ctx, scenario.Event{Kind: scenario.KindThaw, Pod: r.Msg.GetPod()})
	out := &fleetv1.ThawResponse{}
	if pod != "" {
		out.Pods = []string{pod}
	}
	return reply(out, err)
}

func (c control) Rollout(ctx context.Context, _ *connect.Request[fleetv1.RolloutRequest]) (*connect.Response[fleetv1.RolloutResponse], error) {
	_, err := c.fleet.Do(ctx, scenario.Event{Kind: scenario.KindRollout})
	return reply(&fleetv1.RolloutResponse{}, err)
}

func (c control) SetRedis(ctx context.Context, r *connect.Request[fleetv1.SetRedisRequest]) (*connect.Response[fleetv1.SetRedisResponse], error) {
	_, err := c.fleet.Do(ctx, scenario.Event{Kind: scenario.KindRedis, Up: r.Msg.GetUp()})
	return reply(&fleetv1.SetRedisResponse{}, err)
}

func (c control) KillSmaran(ctx context.Context, _ *connect.Request[fleetv1.KillSmaranRequest]) (*connect.Response[fleetv1.KillSmaranResponse], error) {
	_, err := c.fleet.Do(ctx, scenario.Event{Kind: scenario.KindSmaran})
	return reply(&fleetv1.KillSmaranResponse{}, err)
}

func reply[T any](msg *T, err error) (*connect.Response[T], error) {
	if err != nil {
		return nil, connect.NewError(code(err), err)
	}
	return connect.NewResponse(msg), nil
}

func code(err error) connect.Code {
	switch {
	case errors.Is(err, scenario.ErrEvent):
		return connect.CodeInvalidArgument
	case errors.Is(err, context.Canceled):
		return connect.CodeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return connect.CodeDeadlineExceeded
	default:
		return connect.CodeAborted
	}
}
