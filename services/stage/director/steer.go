package director

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
	"github.com/smaran-v2/smaran/services/stage/venue"
)

// steer has a fleet do what an order says, and returns when it is complete, with the pod that it hit, where it hit one.
func steer(ctx context.Context, f fleetv1connect.FleetServiceHandler, o Order) (pod string, err error) {
	switch o.Verb {
	case venue.Scale:
		_, err = f.Scale(ctx, connect.NewRequest(&fleetv1.ScaleRequest{Pods: uint32(o.Pods)}))
	case venue.Kill:
		return hit(f.Kill(ctx, connect.NewRequest(&fleetv1.KillRequest{Pod: o.Pod})))
	case venue.Drain:
		return hit(f.Stop(ctx, connect.NewRequest(&fleetv1.StopRequest{Pod: o.Pod})))
	case venue.Freeze:
		return hit(f.Freeze(ctx, connect.NewRequest(&fleetv1.FreezeRequest{Pod: o.Pod})))
	case venue.Thaw:
		var res *connect.Response[fleetv1.ThawResponse]
		if res, err = f.Thaw(ctx, connect.NewRequest(&fleetv1.ThawRequest{Pod: o.Pod})); err == nil && len(res.Msg.GetPods()) == 1 {
			pod = res.Msg.GetPods()[0]
		}
	case venue.Rollout:
		_, err = f.Rollout(ctx, connect.NewRequest(&fleetv1.RolloutRequest{}))
	case venue.Redis:
		_, err = f.SetRedis(ctx, connect.NewRequest(&fleetv1.SetRedisRequest{Up: o.Up}))
	case venue.Smaran:
		_, err = f.KillSmaran(ctx, connect.NewRequest(&fleetv1.KillSmaranRequest{}))
	default:
		err = fmt.Errorf("%w: a fleet can't %s", ErrOrder, o.Verb)
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
