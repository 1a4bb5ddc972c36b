package driver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/loadtest/internal/scenario"
	fleetv1 "github.com/smaran-v2/smaran/proto/fleet/v1"
	"github.com/smaran-v2/smaran/proto/fleet/v1/fleetv1connect"
)

// scribe notes what it is told to do.
type scribe struct {
	fleetv1connect.UnimplementedFleetServiceHandler
	told []string
}

func (s *scribe) note(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf(format, args...))
}

func (s *scribe) Scale(_ context.Context, r *connect.Request[fleetv1.ScaleRequest]) (*connect.Response[fleetv1.ScaleResponse], error) {
	s.note("scale %d", r.Msg.GetPods())
	return connect.NewResponse(&fleetv1.ScaleResponse{}), nil
}

func (s *scribe) Kill(_ context.Context, r *connect.Request[fleetv1.KillRequest]) (*connect.Response[fleetv1.KillResponse], error) {
	s.note("kill %q", r.Msg.GetPod())
	return connect.NewResponse(&fleetv1.KillResponse{Pod: "jarvis-3"}), nil
}

func (s *scribe) Stop(_ context.Context, r *connect.Request[fleetv1.StopRequest]) (*connect.Response[fleetv1.StopResponse], error) {
	s.note("stop %q", r.Msg.GetPod())
	return connect.NewResponse(&fleetv1.StopResponse{Pod: r.Msg.GetPod()}), nil
}

func (s *scribe) Freeze(_ context.Context, r *connect.Request[fleetv1.FreezeRequest]) (*connect.Response[fleetv1.FreezeResponse], error) {
	s.note("freeze %q", r.Msg.GetPod())
	return connect.NewResponse(&fleetv1.FreezeResponse{Pod: "jarvis-1"}), nil
}

func (s *scribe) Thaw(_ context.Context, r *connect.Request[fleetv1.ThawRequest]) (*connect.Response[fleetv1.ThawResponse], error) {
	s.note("thaw %q", r.Msg.GetPod())
	return connect.NewResponse(&fleetv1.ThawResponse{}), nil
}

func (s *scribe) SetRedis(_ context.Context, r *connect.Request[fleetv1.SetRedisRequest]) (*connect.Response[fleetv1.SetRedisResponse], error) {
	s.note("redis up=%t", r.Msg.GetUp())
	return connect.NewResponse(&fleetv1.SetRedisResponse{}), nil
}

func (s *scribe) KillSmaran(context.Context, *connect.Request[fleetv1.KillSmaranRequest]) (*connect.Response[fleetv1.KillSmaranResponse], error) {
	s.note("kill smaran")
	return connect.NewResponse(&fleetv1.KillSmaranResponse{}), nil
}

func steering(t *testing.T, handler fleetv1connect.FleetServiceHandler) driver.Steering {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(fleetv1connect.NewFleetServiceHandler(handler))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return driver.NewSteering(server.Client(), server.URL)
}

func TestEachEventReachesTheFleet(t *testing.T) {
	s := &scribe{}
	steer := steering(t, s)
	for _, c := range []struct{ event, told, pod string }{
		{"0s:scale=10", "scale 10", ""},
		{"0s:kill", `kill ""`, "jarvis-3"},
		{"0s:kill=jarvis-2", `kill "jarvis-2"`, "jarvis-3"}, // the fleet's word counts
		{"0s:stop=jarvis-2", `stop "jarvis-2"`, "jarvis-2"},
		{"0s:freeze", `freeze ""`, "jarvis-1"},
		{"0s:thaw", `thaw ""`, ""},
		{"0s:redis=down", "redis up=false", ""},
		{"0s:redis=up", "redis up=true", ""},
		{"0s:smaran=kill", "kill smaran", ""},
	} {
		e, err := scenario.ParseEvent(c.event)
		require.NoError(t, err)
		pod, err := steer.Do(t.Context(), e)
		require.NoError(t, err, c.event)
		require.Equal(t, c.pod, pod, c.event)
		require.Equal(t, c.told, s.told[len(s.told)-1])
	}
}

func TestWhatTheFleetRefusesIsAnError(t *testing.T) {
	s := &scribe{} // knows no rollout and no status
	steer := steering(t, s)
	_, err := steer.Do(t.Context(), scenario.Event{Kind: scenario.KindRollout})
	require.Equal(t, connect.CodeUnimplemented, connect.CodeOf(err))
	_, err = steer.Status(t.Context())
	require.Equal(t, connect.CodeUnimplemented, connect.CodeOf(err))
	_, err = steer.Do(t.Context(), scenario.Event{Kind: "meteor"})
	require.ErrorIs(t, err, scenario.ErrEvent)
}
