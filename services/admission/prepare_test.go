package admission_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/admission"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/peers"
	"github.com/smaran-v2/smaran/services/wire"
)

// hang bounds what should take milliseconds.
const hang = 20 * time.Second

// pod answers Prepare, under a name.
type pod struct {
	jarvisv1connect.UnimplementedJarvisServiceHandler
	name   string
	answer func(context.Context, *connect.Request[jarvisv1.PrepareRequest]) (*jarvisv1.PrepareResponse, error)
}

func (p pod) Prepare(ctx context.Context, req *connect.Request[jarvisv1.PrepareRequest]) (*connect.Response[jarvisv1.PrepareResponse], error) {
	msg, err := p.answer(ctx, req)
	if err != nil {
		return nil, err
	}
	res := connect.NewResponse(msg)
	res.Header().Set(wire.HeaderPod, p.name)
	return res, nil
}

// serve is the endpoint of a pod called name, which names itself so in its answers.
func (p pod) serve(t *testing.T, name string) endpoints.Endpoint {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(jarvisv1connect.NewJarvisServiceHandler(p))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return endpoints.Endpoint{Pod: name, Address: strings.TrimPrefix(server.URL, "http://"), Health: endpoints.Healthy}
}

func moves(moving, sent uint32) func(context.Context, *connect.Request[jarvisv1.PrepareRequest]) (*jarvisv1.PrepareResponse, error) {
	return func(context.Context, *connect.Request[jarvisv1.PrepareRequest]) (*jarvisv1.PrepareResponse, error) {
		return &jarvisv1.PrepareResponse{Moving: moving, Sent: sent}, nil
	}
}

func preparer(t *testing.T, clock clockwork.Clock, way peers.Way) admission.Preparer {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return admission.Preparer{Peers: way, HTTP: &http.Client{Transport: transport}, Clock: clock}
}

func TestEveryPodPrepares(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	asked := make(chan *jarvisv1.PrepareRequest, 1)
	now := []endpoints.Endpoint{
		pod{name: "a", answer: func(_ context.Context, req *connect.Request[jarvisv1.PrepareRequest]) (*jarvisv1.PrepareResponse, error) {
			asked <- req.Msg
			return &jarvisv1.PrepareResponse{Moving: 3, Sent: 3}, nil
		}}.serve(t, "a"),
		pod{name: "b", answer: moves(2, 1)}.serve(t, "b"),
		pod{name: "c", answer: func(context.Context, *connect.Request[jarvisv1.PrepareRequest]) (*jarvisv1.PrepareResponse, error) {
			return nil, connect.NewError(connect.CodeUnimplemented, errors.New("it hands nothing over"))
		}}.serve(t, "c"),
		pod{name: "another", answer: moves(10, 10)}.serve(t, "d"), // a mesh that no longer has d would have sent it there
	}
	next := append([]endpoints.Endpoint{{Pod: "new", Address: "10.0.0.9:8080", Health: endpoints.Healthy}}, now...)

	got := preparer(t, clockwork.NewFakeClock(), peers.Way{}).Prepare(ctx, now, next)
	require.Equal(t, 5, got.Pods)
	require.EqualValues(t, 5, got.Moving)
	require.EqualValues(t, 4, got.Sent)
	require.Equal(t, "prepared for 5 pods in 0s: 4 of 5 sessions that move are there", got.String())
	require.Len(t, got.Failed, 2)
	require.Equal(t, "c", got.Failed[0].Pod)
	require.ErrorContains(t, got.Failed[0].Err, "hands nothing over")
	require.Equal(t, "d", got.Failed[1].Pod)
	require.ErrorContains(t, got.Failed[1].Err, "another pod answered")
	var hosts []string
	for _, h := range (<-asked).GetHosts() {
		hosts = append(hosts, h.GetPod())
	}
	require.Equal(t, []string{"new", "a", "b", "c", "d"}, hosts, "in the order that the mesh will have")
}

func TestAFrozenPodIsNotWaitedForLonger(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	clock := clockwork.NewFakeClock()
	came := make(chan struct{})
	now := []endpoints.Endpoint{
		pod{name: "frozen", answer: func(ctx context.Context, _ *connect.Request[jarvisv1.PrepareRequest]) (*jarvisv1.PrepareResponse, error) {
			close(came)
			<-ctx.Done()
			return nil, ctx.Err()
		}}.serve(t, "frozen"),
	}
	p := preparer(t, clock, peers.Way{})
	over := make(chan admission.Prepared, 1)
	go func() { over <- p.Prepare(ctx, now, now) }()
	<-came
	clock.Advance(admission.MaxPreparing - time.Millisecond)
	require.Empty(t, over)
	clock.Advance(time.Millisecond)
	got := <-over
	require.Len(t, got.Failed, 1)
	require.Equal(t, "frozen", got.Failed[0].Pod)
	require.ErrorIs(t, got.Failed[0].Err, admission.ErrLate)
	require.Equal(t, admission.MaxPreparing, got.Took)
}

func TestPodsAreReachedByTheMesh(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	cookies := make(chan string, 1)
	mesh := pod{name: "a", answer: func(_ context.Context, req *connect.Request[jarvisv1.PrepareRequest]) (*jarvisv1.PrepareResponse, error) {
		cookies <- req.Header().Get("Cookie")
		return &jarvisv1.PrepareResponse{}, nil
	}}.serve(t, "mesh")
	p := preparer(t, clockwork.NewFakeClock(), peers.Way{URL: "http://" + mesh.Address})
	got := p.Prepare(ctx, []endpoints.Endpoint{{Pod: "a", Address: "10.0.0.1:8080"}}, nil)
	require.Empty(t, got.Failed)
	require.Equal(t, wire.CookiePeer+`="Cg0xMC4wLjAuMTo4MDgw"`, <-cookies)
}
