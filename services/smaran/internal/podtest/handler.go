package podtest

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/wire"
)

// ETag is every call's.
const ETag = `"ice-1"`

// handler is a pod's jarvis.v1, but for what pods say to one another.
type handler struct {
	jarvisv1connect.UnimplementedJarvisServiceHandler
	pod *Pod
}

func (h handler) Infer(ctx context.Context, req *connect.Request[jarvisv1.InferRequest]) (*connect.Response[jarvisv1.InferResponse], error) {
	h.pod.mu.Lock()
	h.pod.asked = append(h.pod.asked, req.Msg)
	h.pod.mu.Unlock()
	state := jarvisv1.CacheState_CACHE_STATE_WARM
	served, err := h.pod.admit(ctx, req, func(c *conversation) error {
		if c.turn == 0 {
			state = jarvisv1.CacheState_CACHE_STATE_COLD
		}
		c.turn++
		return nil
	})
	if err != nil {
		return nil, err
	}
	served.State = state
	return connect.NewResponse(&jarvisv1.InferResponse{Text: "heard " + req.Msg.GetPrompt(), Served: served, Spoken: served.GetCallHeld()}), nil
}

func (h handler) Offer(ctx context.Context, req *connect.Request[jarvisv1.OfferRequest]) (*connect.Response[jarvisv1.OfferResponse], error) {
	h.pod.mu.Lock()
	h.pod.offers = append(h.pod.offers, req.Msg)
	h.pod.mu.Unlock()
	served, err := h.pod.admit(ctx, req, func(c *conversation) error {
		c.events = make(chan *jarvisv1.WatchResponse, eventBuffer)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&jarvisv1.OfferResponse{Sdp: "answer to " + req.Msg.GetSdp(), Etag: ETag, Served: served}), nil
}

func (h handler) Trickle(ctx context.Context, req *connect.Request[jarvisv1.TrickleRequest]) (*connect.Response[jarvisv1.TrickleResponse], error) {
	served, err := h.pod.admit(ctx, req, held(func(*conversation) error {
		if match := req.Msg.GetIfMatch(); match != "" && match != ETag {
			return connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%s: expected %s, got %s", wire.CodeETagMismatch, ETag, match))
		}
		return nil
	}))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&jarvisv1.TrickleResponse{Served: served}), nil
}

func (h handler) Hangup(ctx context.Context, req *connect.Request[jarvisv1.HangupRequest]) (*connect.Response[jarvisv1.HangupResponse], error) {
	served, err := h.pod.admit(ctx, req, held(func(c *conversation) error {
		c.events <- &jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Ended{Ended: &jarvisv1.Ended{Reason: "hangup"}}}
		c.events = nil
		return nil
	}))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&jarvisv1.HangupResponse{Served: served}), nil
}

func (h handler) Control(ctx context.Context, req *connect.Request[jarvisv1.ControlRequest]) (*connect.Response[jarvisv1.ControlResponse], error) {
	served, err := h.pod.admit(ctx, req, held(func(*conversation) error { return nil }))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&jarvisv1.ControlResponse{Served: served}), nil
}

func (h handler) Watch(ctx context.Context, req *connect.Request[jarvisv1.WatchRequest], stream *connect.ServerStream[jarvisv1.WatchResponse]) error {
	var events chan *jarvisv1.WatchResponse
	served, err := h.pod.admit(ctx, req, held(func(c *conversation) error {
		events = c.events
		h.pod.watchers++
		return nil
	}))
	if err != nil {
		return err
	}
	defer func() {
		h.pod.mu.Lock()
		defer h.pod.mu.Unlock()
		h.pod.watchers--
	}()
	event := &jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_Pod{Pod: &jarvisv1.PodEvent{Served: served}}}
	for {
		if err := stream.Send(event); err != nil {
			return err
		}
		if event.GetEnded() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event = <-events:
			if event == nil {
				return errors.New("the stream was broken off")
			}
		}
	}
}

func (h handler) Status(_ context.Context, req *connect.Request[jarvisv1.StatusRequest]) (*connect.Response[jarvisv1.StatusResponse], error) {
	h.pod.mu.Lock()
	defer h.pod.mu.Unlock()
	out := &jarvisv1.StatusResponse{
		Pod: h.pod.Name, Address: h.pod.Address, Incarnation: h.pod.Incarnation, State: jarvisv1.PodState_POD_STATE_READY,
		Sessions: uint32(len(h.pod.sessions)),
	}
	if req.Msg.GetIncludeSessions() {
		for id, c := range h.pod.sessions {
			out.SessionList = append(out.SessionList, &jarvisv1.SessionStatus{Session: string(id), Turn: c.turn, Epoch: c.epoch, CallHeld: c.events != nil})
		}
	}
	return connect.NewResponse(out), nil
}
