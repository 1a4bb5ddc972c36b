package fleet

import (
	"cmp"
	"context"
	"os"
	"slices"

	"connectrpc.com/connect"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/services/version"
	"github.com/smaran-v2/smaran/services/wire"
)

// laneService steers the fleet that a lane has at the time.
type laneService struct{ lane *lane }

// forward calls a method of the fleet of now.
func forward[Req, Res any](ctx context.Context, s laneService, r *connect.Request[Req],
	method func(control, context.Context, *connect.Request[Req]) (*connect.Response[Res], error),
) (*connect.Response[Res], error) {
	f, err := s.lane.now()
	if err != nil {
		return reply[Res](nil, err)
	}
	return method(control{f}, ctx, r)
}

// Status is that of the fleet, with what the house runs beside it. It fails while there is none, and says why.
func (s laneService) Status(ctx context.Context, r *connect.Request[fleetv1.StatusRequest]) (*connect.Response[fleetv1.StatusResponse], error) {
	res, err := forward(ctx, s, r, control.Status)
	if err != nil {
		return nil, err
	}
	res.Msg.Processes = append(res.Msg.Processes, s.lane.beside()...)
	res.Msg.Notices = append(res.Msg.Notices, s.lane.notices.all()...)
	slices.SortStableFunc(res.Msg.Notices, func(a, b *fleetv1.Notice) int {
		return cmp.Or(cmp.Compare(a.GetTime().GetSeconds(), b.GetTime().GetSeconds()), cmp.Compare(a.GetTime().GetNanos(), b.GetTime().GetNanos()))
	})
	return res, nil
}

func (s laneService) Scale(ctx context.Context, r *connect.Request[fleetv1.ScaleRequest]) (*connect.Response[fleetv1.ScaleResponse], error) {
	return forward(ctx, s, r, control.Scale)
}

func (s laneService) Kill(ctx context.Context, r *connect.Request[fleetv1.KillRequest]) (*connect.Response[fleetv1.KillResponse], error) {
	return forward(ctx, s, r, control.Kill)
}

func (s laneService) Stop(ctx context.Context, r *connect.Request[fleetv1.StopRequest]) (*connect.Response[fleetv1.StopResponse], error) {
	return forward(ctx, s, r, control.Stop)
}

func (s laneService) Freeze(ctx context.Context, r *connect.Request[fleetv1.FreezeRequest]) (*connect.Response[fleetv1.FreezeResponse], error) {
	return forward(ctx, s, r, control.Freeze)
}

func (s laneService) Thaw(ctx context.Context, r *connect.Request[fleetv1.ThawRequest]) (*connect.Response[fleetv1.ThawResponse], error) {
	return forward(ctx, s, r, control.Thaw)
}

func (s laneService) Rollout(ctx context.Context, r *connect.Request[fleetv1.RolloutRequest]) (*connect.Response[fleetv1.RolloutResponse], error) {
	return forward(ctx, s, r, control.Rollout)
}

func (s laneService) SetRedis(ctx context.Context, r *connect.Request[fleetv1.SetRedisRequest]) (*connect.Response[fleetv1.SetRedisResponse], error) {
	return forward(ctx, s, r, control.SetRedis)
}

func (s laneService) KillSmaran(ctx context.Context, r *connect.Request[fleetv1.KillSmaranRequest]) (*connect.Response[fleetv1.KillSmaranResponse], error) {
	return forward(ctx, s, r, control.KillSmaran)
}

// Down ends all lanes.
func (s laneService) Down(context.Context, *connect.Request[fleetv1.DownRequest]) (*connect.Response[fleetv1.DownResponse], error) {
	return reply(&fleetv1.DownResponse{}, s.lane.house.Close())
}

// beside is what the house runs besides the lane's fleet: the page, the lane's crowd, and the other lanes, by their control APIs.
func (l *lane) beside() []*fleetv1.Process {
	own := func(name, address string) *fleetv1.Process {
		return &fleetv1.Process{Name: name, Pid: int64(os.Getpid()), Address: address, Running: true, Kind: kindGo, Version: version.String()}
	}
	var out []*fleetv1.Process
	if at := l.house.cfg.Stage; at != "" {
		out = append(out, own(stageName, at))
	}
	if l.crowd.runs() {
		out = append(out, l.crowd.status(crowdName))
	}
	for _, other := range l.house.lanes {
		if other != l {
			out = append(out, own(wire.FleetProcess+"-"+other.id, other.control))
		}
	}
	return out
}
