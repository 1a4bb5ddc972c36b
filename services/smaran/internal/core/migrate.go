package core

import (
	"context"
	"net/netip"
	"strings"

	"google.golang.org/protobuf/proto"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	smaranv1 "github.com/smaran-v2/smaran/proto/smaran/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/wire"
)

// destinationPrefix tells a destination from the other things that are sealed for clients.
const destinationPrefix = "migrate "

// sealed puts a token in place of the address in a migrate event: no value that a client makes up selects a pod.
func (s *Service) sealed(id session.ID, event *jarvisv1.WatchResponse) *jarvisv1.WatchResponse {
	to := event.GetMigrate()
	if to == nil {
		return event
	}
	told := proto.CloneOf(to)
	told.Token = s.options.Sealer.Seal(id, destinationPrefix+to.GetPod()+" "+to.GetAddress())
	told.Address = ""
	return &jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Migrate{Migrate: told}}
}

// placeSecond places the second call of a session that moves, at the pod that its token names. The backend has no say in it.
func (s *Service) placeSecond(ctx context.Context, id session.ID, in Incoming, m *smaranv1.PlaceCallRequest) (*smaranv1.PlaceCallResponse, Reply, error) {
	to, err := s.destination(id, m.GetMigrateToken())
	if err != nil {
		return nil, Reply{}, err
	}
	if s.options.RequestTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.options.RequestTimeout)
		defer cancel()
	}
	trip := s.newTrip(ctx, s.options.Backend, settled(to), in)
	trip.second = true
	res, routing, reply, err := carry(ctx, trip, &jarvisv1.OfferRequest{Sdp: m.GetSdp(), Standby: true}, jarvisv1connect.JarvisServiceClient.Offer)
	if err != nil {
		return nil, reply, err
	}
	if astray(to.Pod, res.GetServed().GetPod()) { // the mesh does not reach that pod; the call at the other one will expire
		return nil, reply, failed(wire.CodeUpstreamUnavailable, nil, "%s answered, and the session moves to %s", res.GetServed().GetPod(), to.Pod)
	}
	s.calls.placed(id, res.GetServed())
	return &smaranv1.PlaceCallResponse{Sdp: res.GetSdp(), Etag: res.GetEtag(), Served: res.GetServed(), Routing: routing}, reply, nil
}

func (s *Service) destination(id session.ID, sealed string) (backend.Target, error) {
	opened, err := s.options.Sealer.Open(id, sealed)
	if err != nil {
		return backend.Target{}, failed(wire.CodeTokenRefused, err, "%v: expected the token of this session's last migrate event", err)
	}
	rest, ok := strings.CutPrefix(opened.Value, destinationPrefix)
	pod, address, _ := strings.Cut(rest, " ")
	if _, err := netip.ParseAddrPort(address); !ok || err != nil {
		return backend.Target{}, failed(wire.CodeTokenRefused, err, "the token is for something else: expected that of a migrate event")
	}
	return backend.Addressed(s.options.Peers, pod, address), nil
}

// settled is a target that was chosen before.
type settled backend.Target

// Route implements backend.Backend.
func (t settled) Route(context.Context, backend.Request) (backend.Target, error) {
	return backend.Target(t), nil
}

// Learn implements backend.Backend.
func (settled) Learn(context.Context, backend.Request, backend.Target, backend.Outcome) backend.Lesson {
	return backend.Lesson{}
}
