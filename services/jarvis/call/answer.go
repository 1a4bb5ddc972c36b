package call

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/webrtc/v4"

	"github.com/smaran-v2/smaran/services/jarvis/audio"
	"github.com/smaran-v2/smaran/services/session"
)

// answer makes a call out of an offer: a peer connection with the agent's voice on it, and an answer with all candidates.
func (m *Manager) answer(ctx context.Context, id session.ID, offer string, standby bool) (*agent, Answered, error) {
	remote, err := readOffer(offer)
	if err != nil {
		return nil, Answered{}, err
	}
	pc, err := m.api.NewPeerConnection(webrtc.Configuration{Certificates: m.certs})
	if err != nil {
		return nil, Answered{}, fmt.Errorf("open a peer connection: %w", err)
	}
	c := &agent{id: id, etag: newETag(), m: m, pc: pc, log: m.cfg.Log.With("session", string(id)), voice: newVoice(m.sounds),
		remote: remote, done: make(chan struct{}), gone: make(chan struct{}), migrates: make(chan struct{})}
	c.standby.Store(standby)
	c.awaiting.Store(standby)
	m.open.Add(1) // the offer holds one more, so this cannot pass Close's Wait
	c.ctx, c.cancel = context.WithCancel(session.NewContext(context.Background(), id))
	sdp, err := c.negotiate(ctx, offer)
	if err != nil {
		c.abandon()
		return nil, Answered{}, err
	}
	return c, Answered{SDP: sdp, ETag: c.etag}, nil
}

func (c *agent) negotiate(ctx context.Context, offer string) (answer string, err error) {
	c.pc.OnConnectionStateChange(c.onState)
	c.pc.OnTrack(c.onTrack)
	c.pc.OnDataChannel(c.onDataChannel)
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadSDP, err)
	}
	if _, err := c.pc.AddTrack(c.voice.track); err != nil {
		return "", fmt.Errorf("add the agent's voice: %w", err)
	}
	description, err := c.pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadSDP, err)
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(description); err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadSDP, err)
	}
	select {
	case <-gathered:
		return c.pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", fmt.Errorf("gather candidates: %w", context.Cause(ctx))
	}
}

// remoteICE is the ICE session an offer opened: trickled candidates must belong to it.
type remoteICE struct {
	ufrag, password string
	mids            []string
	// silent: the peer sends no audio.
	silent bool
}

// readOffer checks that the agent can answer an offer at all, before anything is built, and takes its ICE session.
func readOffer(offer string) (remoteICE, error) {
	description := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}
	parsed, err := description.Unmarshal()
	if err != nil {
		return remoteICE{}, fmt.Errorf("%w: %w", ErrBadSDP, err)
	}
	var r remoteICE
	r.ufrag, _ = parsed.Attribute("ice-ufrag")
	r.password, _ = parsed.Attribute("ice-pwd")
	pcmu := false
	for _, section := range parsed.MediaDescriptions {
		mid, _ := section.Attribute("mid")
		r.mids = append(r.mids, mid)
		if u, ok := section.Attribute("ice-ufrag"); ok && r.ufrag == "" {
			r.ufrag = u
			r.password, _ = section.Attribute("ice-pwd")
		}
		if section.MediaName.Media == "audio" {
			_, receives := section.Attribute("recvonly")
			_, nothing := section.Attribute("inactive")
			r.silent = receives || nothing
		}
		pcmu = pcmu || section.MediaName.Media == "audio" && offersPCMU(section.MediaName.Formats)
	}
	switch {
	case !pcmu:
		return remoteICE{}, fmt.Errorf("%w: expected an audio section with PCMU, payload type %d", ErrBadSDP, audio.PayloadType)
	case r.ufrag == "" || r.password == "":
		return remoteICE{}, fmt.Errorf("%w: expected a=ice-ufrag and a=ice-pwd", ErrBadSDP)
	}
	return r, nil
}

// offersPCMU looks for PCMU's static payload type, which every browser uses.
func offersPCMU(formats []string) bool {
	return slices.Contains(formats, strconv.Itoa(audio.PayloadType))
}

// check refuses a fragment of another ICE session.
func (r remoteICE) check(f Fragment) error {
	for _, s := range f.Media {
		if s.Ufrag != r.ufrag || s.Password != r.password {
			return fmt.Errorf("%w: ice-ufrag %q is not the call's %q: restarts are not supported, place a new offer",
				ErrBadFragment, s.Ufrag, r.ufrag)
		}
		if !slices.Contains(r.mids, s.MID) {
			return fmt.Errorf("%w: a=mid:%s is not in the offer, which has %s", ErrBadFragment, s.MID, strings.Join(r.mids, ", "))
		}
	}
	return nil
}
