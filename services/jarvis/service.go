package jarvis

import (
	"context"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// service is jarvis.v1 over a pod. Its errors are mapped by edge.
type service struct {
	pod *Pod
}

var _ jarvisv1connect.JarvisServiceHandler = (*service)(nil)

func (s *service) Infer(ctx context.Context, req *connect.Request[jarvisv1.InferRequest]) (*connect.Response[jarvisv1.InferResponse], error) {
	id, _ := session.FromContext(ctx) // without one in lenient mode only
	q, err := ask(id, req.Header().Get(wire.HeaderEpoch), req.Msg)
	if err != nil {
		return nil, err
	}
	res, err := s.pod.inferAloud(ctx, q)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(res), nil
}

func (s *service) Offer(ctx context.Context, req *connect.Request[jarvisv1.OfferRequest]) (*connect.Response[jarvisv1.OfferResponse], error) {
	id, epoch, err := callHeaders(ctx, req.Header())
	if err != nil {
		return nil, err
	}
	answered, err := s.pod.offer(ctx, id, epoch, req.Msg.GetSdp())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&jarvisv1.OfferResponse{Sdp: answered.SDP, Etag: answered.ETag, Served: s.pod.served(id)}), nil
}

func (s *service) Trickle(ctx context.Context, req *connect.Request[jarvisv1.TrickleRequest]) (*connect.Response[jarvisv1.TrickleResponse], error) {
	served, err := s.withCall(ctx, req.Header(), func(id session.ID) error {
		return s.pod.calls.Trickle(ctx, id, req.Msg.GetSdpFragment(), req.Msg.GetIfMatch())
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&jarvisv1.TrickleResponse{Served: served}), nil
}

func (s *service) Hangup(ctx context.Context, req *connect.Request[jarvisv1.HangupRequest]) (*connect.Response[jarvisv1.HangupResponse], error) {
	served, err := s.withCall(ctx, req.Header(), s.pod.calls.Hangup)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&jarvisv1.HangupResponse{Served: served}), nil
}

func (s *service) Control(ctx context.Context, req *connect.Request[jarvisv1.ControlRequest]) (*connect.Response[jarvisv1.ControlResponse], error) {
	served, err := s.withCall(ctx, req.Header(), func(id session.ID) error { return s.control(id, req.Msg) })
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&jarvisv1.ControlResponse{Served: served}), nil
}

func (s *service) control(id session.ID, msg *jarvisv1.ControlRequest) error {
	switch m := msg.GetMessage().(type) {
	case *jarvisv1.ControlRequest_Mute:
		return s.pod.calls.Mute(id, m.Mute.GetMuted())
	case *jarvisv1.ControlRequest_Say:
		if m.Say.GetText() == "" {
			return fmt.Errorf("%w: nothing to say: expected a text", ErrBadRequest)
		}
		kept, _ := s.pod.sessions.Find(id)
		_, err := s.pod.calls.Say(id, m.Say.GetText(), kept.At.Turn)
		return err
	}
	return fmt.Errorf("%w: empty control message: expected mute or say", ErrBadRequest)
}

func (s *service) Watch(ctx context.Context, req *connect.Request[jarvisv1.WatchRequest], stream *connect.ServerStream[jarvisv1.WatchResponse]) error {
	_, err := s.withCall(ctx, req.Header(), func(id session.ID) error {
		// Found first: a call that ends while the pod event is sent has ended, and was not elsewhere.
		watch, err := s.pod.calls.Watcher(id)
		if err != nil {
			return err
		}
		first := &jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Pod{Pod: &jarvisv1.PodEvent{Served: s.pod.served(id)}}}
		if err := stream.Send(first); err != nil {
			return err
		}
		return watch(ctx, stream.Send)
	})
	return err
}

func (s *service) Status(_ context.Context, req *connect.Request[jarvisv1.StatusRequest]) (*connect.Response[jarvisv1.StatusResponse], error) {
	return connect.NewResponse(s.pod.Status(req.Msg.GetIncludeSessions())), nil
}

// withCall does something to a call held here, and describes the session afterwards.
func (s *service) withCall(ctx context.Context, h http.Header, do func(session.ID) error) (*jarvisv1.Served, error) {
	id, epoch, err := callHeaders(ctx, h)
	if err != nil {
		return nil, err
	}
	if err := s.pod.onCall(id, epoch); err != nil {
		return nil, err
	}
	if err := do(id); err != nil {
		return nil, s.pod.located(id, err)
	}
	return s.pod.served(id), nil
}

// callHeaders reads what a request about a call needs. In lenient mode too that includes a session.
func callHeaders(ctx context.Context, h http.Header) (session.ID, uint64, error) {
	id, ok := session.FromContext(ctx)
	if !ok {
		_, err := session.FromHeader(h)
		return "", 0, err
	}
	epoch, err := parseEpoch(h.Get(wire.HeaderEpoch))
	return id, epoch, err
}

func inferResponse(r reply, spoken bool) *jarvisv1.InferResponse {
	return &jarvisv1.InferResponse{Text: r.text, Served: r.served, Compute: durationpb.New(r.compute), Spoken: spoken}
}
