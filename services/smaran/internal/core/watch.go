package core

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// Events takes a call's event stream at an edge.
type Events interface {
	// Open is called once, before the first event.
	Open(Reply) error
	Send(*jarvisv1.WatchResponse) error
}

// Watch passes on the events of a call until it ends, the pod is lost, or ctx ends. It returns nil in all three cases, and an
// error only where there was no event yet, or as Events does.
//
// The stream is held to the pod where the call was placed. Where this process does not know it, the backend is asked. A stream that
// breaks without the event Ended means that the pod is lost, and PodLost is sent; but if it went through the mesh, which
// cuts streams for reasons of its own, the pod is asked directly first.
func (s *Service) Watch(ctx context.Context, in Incoming, events Events) error {
	id, err := need(ctx)
	if err != nil {
		return err
	}
	name, b, refused := s.choose(in)
	if refused != nil {
		return refused
	}
	w := &watch{service: s, id: id, events: events, trip: s.newTrip(ctx, name, b, in)}
	if at, ok := s.calls.at(id); ok {
		w.place = at
		if done, err := w.placed(ctx); done {
			return err
		}
	}
	return w.routed(ctx)
}

// errEndedEarly is a stream that ended in good order, but without the event that says so.
var errEndedEarly = connect.NewError(connect.CodeUnavailable, errors.New("the event stream ended without saying why"))

// watch is one event stream.
type watch struct {
	service *Service
	id      session.ID
	events  Events
	trip    *trip
	// place is the pod as far as is known.
	place  place
	opened bool
	ended  bool
}

// placed watches at the recorded place. done is false if the call is not there any more, so that the backend may know better.
func (w *watch) placed(ctx context.Context) (done bool, err error) {
	broke, err := w.pass(ctx, "http://"+w.place.address, nil)
	switch {
	case err != nil || w.ended || ctx.Err() != nil:
		return true, err
	case w.opened:
		return true, w.lost()
	}
	outcome, _ := judge(broke)
	if outcome.Result == backend.NotHeld {
		w.service.calls.ended(w.id, w.place.incarnation)
		return false, nil
	}
	return true, w.lost()
}

// routed watches where the backend says.
func (w *watch) routed(ctx context.Context) error {
	for {
		target, err := w.trip.route(ctx)
		if err != nil {
			return err
		}
		broke, err := w.pass(ctx, target.BaseURL, &target)
		switch {
		case err != nil || w.ended || ctx.Err() != nil:
			return err
		case w.opened && !target.Addressed():
			return w.resume(ctx)
		case w.opened:
			return w.lost()
		}
		if again, err := w.trip.failed(ctx, broke); !again {
			return err
		}
	}
}

// resume asks the pod directly after the mesh broke off.
func (w *watch) resume(ctx context.Context) error {
	_, err := w.pass(ctx, "http://"+w.place.address, nil)
	if err != nil || w.ended || ctx.Err() != nil {
		return err
	}
	return w.lost()
}

// pass hands on the events of one stream until it breaks, and returns how; err is the edge's.
func (w *watch) pass(ctx context.Context, baseURL string, target *backend.Target) (broke, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // else a stream whose edge failed stays open
	req := connect.NewRequest(&jarvisv1.WatchRequest{})
	if target != nil {
		for key, values := range target.Header {
			req.Header()[key] = values
		}
	}
	stream, err := w.service.upstreams.client(baseURL).Watch(ctx, req)
	if err != nil {
		return err, nil
	}
	defer func() { _ = stream.Close() }() // it is broken or no longer wanted
	for stream.Receive() {
		event := stream.Msg()
		if pod := event.GetPod(); pod != nil {
			if done, err := w.arrived(ctx, pod.GetServed(), stream, target); done {
				return nil, err
			}
		}
		if err := w.open(nil); err != nil {
			return nil, err
		}
		if err := w.events.Send(event); err != nil {
			return nil, err
		}
		if event.GetEnded() != nil {
			w.ended = true
			w.service.calls.ended(w.id, w.place.incarnation)
			return nil, nil
		}
	}
	if err := stream.Err(); err != nil {
		return err, nil
	}
	return errEndedEarly, nil
}

// arrived notes which pod the stream is held to. A stream that was resumed at a new incarnation is another pod's, and done.
func (w *watch) arrived(ctx context.Context, served *jarvisv1.Served, stream *connect.ServerStreamForClient[jarvisv1.WatchResponse], target *backend.Target) (done bool, err error) {
	if w.opened && served.GetIncarnation() != w.place.incarnation {
		return true, nil
	}
	w.place = place{pod: served.GetPod(), address: served.GetAddress(), incarnation: served.GetIncarnation()}
	if target != nil {
		w.trip.answered(ctx, served, stream.ResponseHeader())
	}
	return false, w.open(served)
}

func (w *watch) open(served *jarvisv1.Served) error {
	if w.opened {
		return nil
	}
	w.opened = true
	return w.events.Open(w.trip.reply(served))
}

// lost tells the client to redial.
func (w *watch) lost() error {
	w.service.calls.ended(w.id, w.place.incarnation)
	if err := w.open(nil); err != nil {
		return err
	}
	return w.events.Send(&jarvisv1.WatchResponse{Event: &jarvisv1.WatchResponse_PodLost{
		PodLost: &jarvisv1.PodLost{Pod: w.place.pod, Incarnation: w.place.incarnation},
	}})
}
