package core

import (
	"context"
	"errors"
	"maps"
	"time"

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
// breaks without the event Ended means that the pod is lost, and PodLost is sent; but if it went through a mesh, which
// cuts streams for reasons of its own, the pod is asked again first.
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
	// held: the last stream was the call's.
	held bool
}

// minStream is how long a stream lasts that is worth resuming: one that ends sooner, again, was not cut by a time-out.
const minStream = time.Second

// placed watches at the recorded place. done is false if the call is not there any more, so that the backend may know better.
func (w *watch) placed(ctx context.Context) (done bool, err error) {
	way := w.service.options.Peers
	broke, err := w.pass(ctx, backend.Addressed(way, w.place.pod, w.place.address), false)
	switch {
	case err != nil || w.ended || ctx.Err() != nil:
		return true, err
	case w.opened && way.Direct():
		return true, w.lost()
	case w.opened:
		return true, w.resume(ctx)
	}
	switch outcome, _ := judge(broke, w.place.pod); outcome.Result {
	case backend.NotHeld:
		w.service.calls.ended(w.id, w.place.incarnation)
		return w.named(ctx, outcome)
	case backend.Astray:
		w.service.metrics.misaddressed(w.trip.name)
	}
	return true, w.lost()
}

// named watches at the pod that another one named, if it named one that there is.
func (w *watch) named(ctx context.Context, o backend.Outcome) (done bool, err error) {
	address := o.OwnerAddress
	if e, there := w.service.options.Endpoints.Current().Lookup(o.Owner); there {
		address = e.Address
	}
	if o.Owner == "" || address == "" {
		return false, nil
	}
	_, err = w.pass(ctx, backend.Addressed(w.service.options.Peers, o.Owner, address), false)
	switch {
	case err != nil || w.ended || ctx.Err() != nil:
		return true, err
	case w.opened && w.service.options.Peers.Direct():
		return true, w.lost()
	case w.opened:
		return true, w.resume(ctx)
	}
	return false, nil
}

// routed watches where the backend says.
func (w *watch) routed(ctx context.Context) error {
	for {
		target, err := w.trip.route(ctx)
		if err != nil {
			return err
		}
		broke, err := w.pass(ctx, target, true)
		switch {
		case err != nil || w.ended || ctx.Err() != nil:
			return err
		case w.opened && target.Addressed() && w.service.options.Peers.Direct():
			return w.lost()
		case w.opened:
			return w.resume(ctx)
		}
		if outcome, _ := judge(broke, target.Pod); outcome.Result == backend.NotHeld {
			if done, err := w.named(ctx, outcome); done {
				return err
			}
		}
		if again, err := w.trip.failed(ctx, broke); !again {
			return err
		}
	}
}

// resume asks the pod itself after the mesh broke off, and again if that way leads through the mesh too and was cut as well.
func (w *watch) resume(ctx context.Context) error {
	way, clock := w.service.options.Peers, w.service.options.Clock
	for {
		began := clock.Now()
		_, err := w.pass(ctx, backend.Addressed(way, w.place.pod, w.place.address), false)
		if err != nil || w.ended || ctx.Err() != nil {
			return err
		}
		if way.Direct() || !w.held || clock.Since(began) < minStream {
			return w.lost()
		}
	}
}

// pass hands on the events of one stream until it breaks, and returns how; err is the edge's. The backend that chose the target
// is told who answered.
func (w *watch) pass(ctx context.Context, target backend.Target, chosen bool) (broke, err error) {
	w.held = false
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // else a stream whose edge failed stays open
	req := connect.NewRequest(&jarvisv1.WatchRequest{})
	maps.Copy(req.Header(), target.Header)
	stream, err := w.service.upstreams.client(target.BaseURL).Watch(ctx, req)
	if err != nil {
		return err, nil
	}
	defer func() { _ = stream.Close() }() // it is broken or no longer wanted
	for stream.Receive() {
		event := stream.Msg()
		if pod := event.GetPod(); pod != nil {
			if done, err := w.arrived(ctx, pod.GetServed(), stream, chosen); done {
				return nil, err
			}
		}
		if err := w.open(nil); err != nil {
			return nil, err
		}
		if err := w.events.Send(w.service.sealed(w.id, event)); err != nil {
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
func (w *watch) arrived(ctx context.Context, served *jarvisv1.Served, stream *connect.ServerStreamForClient[jarvisv1.WatchResponse], chosen bool) (done bool, err error) {
	if w.opened && served.GetIncarnation() != w.place.incarnation {
		return true, nil
	}
	w.place = place{pod: served.GetPod(), address: served.GetAddress(), incarnation: served.GetIncarnation()}
	w.held = true
	if chosen {
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
