package backend

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/smaran-v2/smaran/services/smaran/token"
)

// carrier is one of the two places where a stateful session's token travels.
type carrier interface {
	// fromClient is the sealed token that the client sent, or "".
	fromClient(http.Header) string
	// toMesh puts the mesh's own token into a request.
	toMesh(h http.Header, raw string)
	// fromMesh is the token in the mesh's reply, or "".
	fromMesh(http.Header) string
	// encode is the token that the mesh would make for an address.
	encode(address string) string
	// toClient puts a sealed token into a reply.
	toClient(h http.Header, sealed string, ttl time.Duration)
}

// stateful leaves the first choice to the mesh, which answers with a token that names the pod. The client keeps the token, sealed;
// smaran opens it and hands the mesh its own. Nothing is stored here or there.
//
// A token that does not open is ignored and counted, and the mesh chooses as on a first request. A redial is addressed to
// a pod drawn at random, as the mesh would draw for a new session, and gets a token for it.
type stateful struct {
	mesh string
	pods podSource
	directly
	sealer  *token.Sealer
	carrier carrier
	metrics *Metrics
	rand    *lockedRand
}

func newStateful(d Deps, c carrier) (Backend, error) {
	switch {
	case d.MeshURL == "":
		return nil, errNoMesh
	case d.Sealer == nil:
		return nil, errNoKeys
	}
	return &stateful{
		mesh: d.MeshURL, pods: podSource{endpoints: d.Endpoints}, directly: directly{d.Peers},
		sealer: d.Sealer, carrier: c, metrics: d.Metrics, rand: d.random(),
	}, nil
}

func (b *stateful) Route(ctx context.Context, r Request) (Target, error) {
	if err := ctx.Err(); err != nil {
		return Target{}, err
	}
	if r.LostPod != "" {
		pods, err := b.pods.get()
		if err != nil {
			return Target{}, err
		}
		others := pods.others(r.LostPod)
		return b.to(others[b.rand.intN(len(others))]), nil
	}
	target := Target{BaseURL: b.mesh}
	opened, err := b.open(r)
	if err != nil {
		b.metrics.tokenRefused(err)
		return target, nil
	}
	if opened.Value != "" {
		target.Header = http.Header{}
		b.carrier.toMesh(target.Header, opened.Value)
	}
	return target, nil
}

func (b *stateful) open(r Request) (token.Opened, error) {
	text := b.carrier.fromClient(r.Header)
	if text == "" {
		return token.Opened{}, nil
	}
	return b.sealer.Open(r.Session, text)
}

// Learn seals what the mesh said. The mesh is silent while the session stays where its token says, so a token in the second
// half of its life is sealed anew: one that a client uses does not expire.
func (b *stateful) Learn(_ context.Context, r Request, t Target, o Outcome) Lesson {
	if r.Session == "" {
		return Lesson{} // nothing to bind a token to
	}
	raw := b.carrier.fromMesh(o.Header)
	switch {
	case t.Addressed() && o.Result == Answered:
		raw = b.carrier.encode(t.Address)
	case o.Result == Astray && o.Served:
		// The session is where it was served, not where it was sent.
		if e, there := b.pods.endpoints.Current().Lookup(o.Pod); there {
			raw = b.carrier.encode(e.Address)
		}
	case raw == "":
		opened, err := b.open(r)
		if err != nil || opened.Left > b.sealer.TTL()/2 {
			return Lesson{}
		}
		raw = opened.Value
	}
	if raw == "" {
		return Lesson{}
	}
	h := http.Header{}
	b.carrier.toClient(h, b.sealer.Seal(r.Session, raw), b.sealer.TTL())
	return Lesson{Header: h}
}

// reason is the label under which a refused token is counted.
func reason(err error) string {
	for cause, label := range map[error]string{
		token.ErrMalformed:  "malformed",
		token.ErrUnknownKey: "unknown_key",
		token.ErrForged:     "forged",
		token.ErrForeign:    "foreign",
		token.ErrExpired:    "expired",
	} {
		if errors.Is(err, cause) {
			return label
		}
	}
	return "other"
}
