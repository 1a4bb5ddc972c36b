package engine

import (
	"context"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/client"
	"github.com/smaran-v2/smaran/loadtest/internal/peer"
)

// Ear hears the gaps in one caller's media.
type Ear func(peer.Gap)

// Handset is a caller's phone, over all of its calls.
type Handset interface {
	client.Phone
	// Finish tells the ear of a gap that is still open.
	Finish()
}

// Switchboard makes handsets.
type Switchboard interface {
	// Handset for one caller; the seed decides when it speaks.
	Handset(seed uint64, watchdog time.Duration, ear Ear) Handset
	// Lag is how late media was sent since the last ResetLag.
	Lag() peer.Lag
	ResetLag()
}

// Pion is the Switchboard of real peer connections.
type Pion struct{ *peer.API }

// A caller speaks about every eight seconds, for about a second.
const (
	talk  = time.Second
	pause = 8 * time.Second
)

// everyPacket has a meter tell of each packet: a regular frame comes 20 ms after the one before.
const everyPacket = time.Nanosecond

// Handset implements Switchboard.
func (p Pion) Handset(seed uint64, watchdog time.Duration, ear Ear) Handset {
	return &pionHandset{
		api:    p.API,
		meter:  peer.NewMeter(peer.MeterConfig{Threshold: everyPacket, OnGap: ear}),
		speech: peer.Speech{Talk: talk, Pause: pause, Seed: seed}, watchdog: watchdog,
	}
}

type pionHandset struct {
	api    *peer.API
	meter  *peer.Meter
	speech peer.Speech

	watchdog time.Duration
}

// Dial implements client.Phone.
func (h *pionHandset) Dial(ctx context.Context, offer client.Offer) (client.Line, error) {
	call, err := peer.Dial(ctx, h.api, signaler(offer), peer.Options{Meter: h.meter, Speech: h.speech, Watchdog: h.watchdog})
	if err != nil {
		return nil, err
	}
	return line{call}, nil
}

func (h *pionHandset) Finish() { h.meter.Finish() }

// line makes a peer.Call a client.Line.
type line struct{ *peer.Call }

func (l line) Close() error {
	l.Call.Close()
	return nil
}

// signaler makes a client.Offer a peer.Signaler.
type signaler client.Offer

func (s signaler) Offer(ctx context.Context, sdp string) (peer.Answer, error) {
	o, err := s(ctx, sdp)
	if err != nil {
		return peer.Answer{}, err
	}
	return peer.Answer{SDP: o.SDP, ETag: o.ETag, Location: o.Location, Pod: o.Pod, Incarnation: o.Incarnation}, nil
}
