package fleet

import (
	"context"
	"errors"
	"net/http"

	"connectrpc.com/connect"

	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
	"github.com/smaran-v2/smaran/services/internal/httpserver"
)

// Handler serves fleet.v1. It answers only requests that name a loopback host, so that no web page reaches it by a name
// that was made to resolve to 127.0.0.1; Connect's content types keep a page from posting to the address itself.
func Handler(s fleetv1connect.FleetServiceHandler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(fleetv1connect.NewFleetServiceHandler(s))
	mux.HandleFunc("GET "+pathTargets, serveTargets(s))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !httpserver.NamesLoopback(r) {
			http.Error(w, "the control API is for this machine: expected a loopback Host, got "+r.Host, http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Service steers this fleet.
func (f *Fleet) Service() fleetv1connect.FleetServiceHandler { return control{f} }

// control turns requests into changes, and errors into codes.
type control struct{ fleet *Fleet }

func (c control) Status(context.Context, *connect.Request[fleetv1.StatusRequest]) (*connect.Response[fleetv1.StatusResponse], error) {
	return connect.NewResponse(c.fleet.Status()), nil
}

func (c control) Scale(ctx context.Context, r *connect.Request[fleetv1.ScaleRequest]) (*connect.Response[fleetv1.ScaleResponse], error) {
	after, err := c.fleet.Scale(ctx, int(r.Msg.GetPods()))
	return reply(&fleetv1.ScaleResponse{Endpoints: after}, err)
}

func (c control) Kill(ctx context.Context, r *connect.Request[fleetv1.KillRequest]) (*connect.Response[fleetv1.KillResponse], error) {
	pod, after, err := c.fleet.Kill(ctx, r.Msg.GetPod())
	return reply(&fleetv1.KillResponse{Pod: pod, Endpoints: after}, err)
}

func (c control) Stop(ctx context.Context, r *connect.Request[fleetv1.StopRequest]) (*connect.Response[fleetv1.StopResponse], error) {
	pod, after, err := c.fleet.Stop(ctx, r.Msg.GetPod())
	return reply(&fleetv1.StopResponse{Pod: pod, Endpoints: after}, err)
}

func (c control) Freeze(ctx context.Context, r *connect.Request[fleetv1.FreezeRequest]) (*connect.Response[fleetv1.FreezeResponse], error) {
	pod, err := c.fleet.Freeze(ctx, r.Msg.GetPod())
	return reply(&fleetv1.FreezeResponse{Pod: pod}, err)
}

func (c control) Thaw(ctx context.Context, r *connect.Request[fleetv1.ThawRequest]) (*connect.Response[fleetv1.ThawResponse], error) {
	pods, err := c.fleet.Thaw(ctx, r.Msg.GetPod())
	return reply(&fleetv1.ThawResponse{Pods: pods}, err)
}

func (c control) Rollout(ctx context.Context, _ *connect.Request[fleetv1.RolloutRequest]) (*connect.Response[fleetv1.RolloutResponse], error) {
	after, err := c.fleet.Rollout(ctx)
	return reply(&fleetv1.RolloutResponse{Endpoints: after}, err)
}

func (c control) SetRedis(ctx context.Context, r *connect.Request[fleetv1.SetRedisRequest]) (*connect.Response[fleetv1.SetRedisResponse], error) {
	return reply(&fleetv1.SetRedisResponse{}, c.fleet.SetRedis(ctx, r.Msg.GetUp()))
}

func (c control) KillSmaran(ctx context.Context, _ *connect.Request[fleetv1.KillSmaranRequest]) (*connect.Response[fleetv1.KillSmaranResponse], error) {
	return reply(&fleetv1.KillSmaranResponse{}, c.fleet.KillSmaran(ctx))
}

// Down answers once nothing is left but the control API itself, which ends next.
func (c control) Down(context.Context, *connect.Request[fleetv1.DownRequest]) (*connect.Response[fleetv1.DownResponse], error) {
	return reply(&fleetv1.DownResponse{}, c.fleet.Close())
}

func reply[T any](msg *T, err error) (*connect.Response[T], error) {
	if err != nil {
		return nil, connect.NewError(code(err), err)
	}
	return connect.NewResponse(msg), nil
}

func code(err error) connect.Code {
	switch {
	case errors.Is(err, ErrLaneDown): // whatever made it so
		return connect.CodeUnavailable
	case errors.Is(err, ErrUnknownPod):
		return connect.CodeNotFound
	case errors.Is(err, ErrConfig):
		return connect.CodeInvalidArgument
	case errors.Is(err, ErrPhase):
		return connect.CodeFailedPrecondition
	case errors.Is(err, ErrNotReady):
		return connect.CodeAborted
	case errors.Is(err, ErrAddress):
		return connect.CodeResourceExhausted
	case errors.Is(err, ErrClosed):
		return connect.CodeUnavailable
	case errors.Is(err, context.Canceled):
		return connect.CodeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return connect.CodeDeadlineExceeded
	}
	return connect.CodeInternal
}
