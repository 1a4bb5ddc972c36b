package jarvis

import (
	"context"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/jarvis/handoff"
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
	q, err := ask(id, req.Header(), req.Msg)
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
	s.pod.traces.Began(ctx, id)
	if req.Msg.GetStandby() {
		answered, err := s.pod.standby(ctx, id, req.Msg.GetSdp())
		if err != nil {
			return nil, err
		}
		return connect.NewResponse(&jarvisv1.OfferResponse{Sdp: answered.SDP, Etag: answered.ETag, Served: s.pod.served(id)}), nil
	}
	if err := s.pod.acceptable(id, req.Msg.GetSdp()); err != nil {
		return nil, err // before the call that it has elsewhere is ended for this one
	}
	highest, err := believable(req.Msg.GetLastEpoch())
	if err != nil {
		return nil, err
	}
	// The session comes here with its call: whoever places one can't be at another pod.
	need := handoff.Need{Seen: highest, Call: true, Lost: req.Msg.GetLostPod(), Forwarded: passed(req.Header())}
	res, err := anywhere(ctx, s.pod, id, need, func() (*jarvisv1.OfferResponse, error) {
		answered, err := s.pod.offer(ctx, id, epoch, req.Msg.GetSdp())
		if err != nil {
			return nil, err
		}
		return &jarvisv1.OfferResponse{Sdp: answered.SDP, Etag: answered.ETag, Served: s.pod.served(id)}, nil
	}, req.Msg, jarvisv1connect.JarvisServiceClient.Offer)
	return response(res, err)
}

func (s *service) Trickle(ctx context.Context, req *connect.Request[jarvisv1.TrickleRequest]) (*connect.Response[jarvisv1.TrickleResponse], error) {
	trickle := func(id session.ID) error {
		return s.pod.calls.Trickle(ctx, id, req.Msg.GetSdpFragment(), req.Msg.GetIfMatch())
	}
	// A call on standby is here, though its session is not.
	if id, ok := session.FromContext(ctx); ok && s.pod.handoff != nil && s.pod.calls.Holds(id) {
		if err := trickle(id); err == nil {
			return connect.NewResponse(&jarvisv1.TrickleResponse{Served: s.pod.served(id)}), nil
		}
	}
	return withCall(ctx, s.pod, req, trickle, func(served *jarvisv1.Served) *jarvisv1.TrickleResponse {
		return &jarvisv1.TrickleResponse{Served: served}
	},
		jarvisv1connect.JarvisServiceClient.Trickle)
}

func (s *service) Hangup(ctx context.Context, req *connect.Request[jarvisv1.HangupRequest]) (*connect.Response[jarvisv1.HangupResponse], error) {
	return withCall(ctx, s.pod, req, s.pod.calls.Hangup,
		func(served *jarvisv1.Served) *jarvisv1.HangupResponse {
			return &jarvisv1.HangupResponse{Served: served}
		},
		jarvisv1connect.JarvisServiceClient.Hangup)
}

func (s *service) Control(ctx context.Context, req *connect.Request[jarvisv1.ControlRequest]) (*connect.Response[jarvisv1.ControlResponse], error) {
	return withCall(ctx, s.pod, req, func(id session.ID) error { return s.control(id, req.Msg) },
		func(served *jarvisv1.Served) *jarvisv1.ControlResponse {
			return &jarvisv1.ControlResponse{Served: served}
		},
		jarvisv1connect.JarvisServiceClient.Control)
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
	id, _ := session.FromContext(ctx)
	_, err := heldCall(ctx, s.pod, req.Header(), func(id session.ID) error {
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
	return s.pod.whereabouts(ctx, id, err)
}

func (s *service) Handoff(ctx context.Context, req *connect.Request[jarvisv1.HandoffRequest]) (*connect.Response[jarvisv1.HandoffResponse], error) {
	id, _, err := callHeaders(ctx, req.Header())
	if err == nil {
		err = s.pod.hands()
	}
	if err != nil {
		return nil, err
	}
	s.pod.traces.Began(ctx, id)
	return response(s.pod.handoff.Receive(ctx, id, req.Msg))
}

func (s *service) Claim(ctx context.Context, req *connect.Request[jarvisv1.ClaimRequest]) (*connect.Response[jarvisv1.ClaimResponse], error) {
	id, _, err := callHeaders(ctx, req.Header())
	if err == nil {
		err = s.pod.hands()
	}
	if err != nil {
		return nil, err
	}
	return response(s.pod.handoff.Claim(ctx, id, req.Msg))
}

func (s *service) Prepare(ctx context.Context, req *connect.Request[jarvisv1.PrepareRequest]) (*connect.Response[jarvisv1.PrepareResponse], error) {
	if err := s.pod.hands(); err != nil {
		return nil, err
	}
	return response(s.pod.handoff.Prepare(ctx, req.Msg))
}

func (s *service) Status(_ context.Context, req *connect.Request[jarvisv1.StatusRequest]) (*connect.Response[jarvisv1.StatusResponse], error) {
	return connect.NewResponse(s.pod.Status(req.Msg.GetIncludeSessions())), nil
}

// withCall does something to a session's call where it is, and answers with the session as it stands afterwards.
func withCall[Req, Res any, A answer[Res]](ctx context.Context, p *Pod, req *connect.Request[Req], do func(session.ID) error,
	answer func(*jarvisv1.Served) *Res,
	send func(jarvisv1connect.JarvisServiceClient, context.Context, *connect.Request[Req]) (*connect.Response[Res], error),
) (*connect.Response[Res], error) {
	id, _ := session.FromContext(ctx)
	res, err := anywhere[Req, Res, A](ctx, p, id, handoff.Need{Find: true, Forwarded: passed(req.Header())}, func() (*Res, error) {
		served, err := heldCall(ctx, p, req.Header(), do)
		if err != nil {
			return nil, err
		}
		return answer(served), nil
	}, req.Msg, send)
	return response(res, err)
}

// heldCall does something to a call held here, and describes the session afterwards.
func heldCall(ctx context.Context, p *Pod, h http.Header, do func(session.ID) error) (*jarvisv1.Served, error) {
	id, epoch, err := callHeaders(ctx, h)
	if err != nil {
		return nil, err
	}
	if err := p.onCall(id, epoch); err != nil {
		return nil, err
	}
	if err := do(id); err != nil {
		return nil, p.located(id, err)
	}
	return p.served(id), nil
}

func response[Res any](res *Res, err error) (*connect.Response[Res], error) {
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(res), nil
}

// passed is whether another pod passed the request on.
func passed(h http.Header) bool { return h.Get(wire.HeaderForwarded) != "" }

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

func inferResponse(r reply) *jarvisv1.InferResponse {
	return &jarvisv1.InferResponse{Text: r.text, Served: r.served, Compute: durationpb.New(r.compute), Spoken: r.spoken}
}
