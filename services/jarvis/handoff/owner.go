package handoff

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"

	"connectrpc.com/connect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh/replies"
	"github.com/smaran-v2/smaran/services/peers"
	"github.com/smaran-v2/smaran/services/wire"
)

// Owner is another pod, and how to reach it.
type Owner struct {
	Pod, Address string
	client       jarvisv1connect.JarvisServiceClient
	header       http.Header
}

// errAstray: another pod answered than the addressed one, because the mesh has no such pod any more.
var errAstray = errors.New("another pod answered than the addressed one")

// Reach is the pod at an endpoint, the way there, and what carries a message.
func Reach(e endpoints.Endpoint, way peers.Way, carrier connect.HTTPClient, clients ...connect.ClientOption) *Owner {
	target := way.To(e.Address)
	return &Owner{Pod: e.Pod, Address: e.Address, header: target.Header,
		client: jarvisv1connect.NewJarvisServiceClient(carrier, target.BaseURL, clients...)}
}

func (h *Handoff) reach(e endpoints.Endpoint) *Owner { return Reach(e, h.Peers, h.HTTP, h.Clients...) }

// Send sends a message to the pod, with the headers that lead there besides extra. It fails with errAstray inside where another pod
// answered.
func Send[Req, Res any](ctx context.Context, o *Owner, message *Req, extra http.Header,
	call func(jarvisv1connect.JarvisServiceClient, context.Context, *connect.Request[Req]) (*connect.Response[Res], error),
) (*Res, error) {
	req := connect.NewRequest(message)
	maps.Copy(req.Header(), o.header)
	maps.Copy(req.Header(), extra)
	res, err := call(o.client, ctx, req)
	answered := ""
	var refused *connect.Error
	switch {
	case err == nil:
		answered = res.Header().Get(wire.HeaderPod)
	case errors.As(err, &refused):
		answered = refused.Meta().Get(wire.HeaderPod)
	}
	if answered != "" && o.Pod != "" && answered != o.Pod {
		return nil, fmt.Errorf("%w: %s, not %s", errAstray, answered, o.Pod)
	}
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

// unreachable is whether a message did not get to the pod, because that is gone.
func unreachable(err error) bool {
	var network *net.OpError
	return errors.Is(err, errAstray) || errors.Is(err, replies.ErrNotConnected) || errors.Is(err, replies.ErrNoPods) ||
		errors.As(err, &network) && network.Op == "dial"
}

// NotServed is whether a message that was passed on was not served, so that it may be sent again: it did not get there, or the pod is not
// the session's owner.
func NotServed(err error) bool { return unreachable(err) || Named(err) != nil }

// Named is the owner that a pod named in its refusal; nil where it was no refusal of a pod that knows who owns what.
func Named(err error) *jarvisv1.Title {
	var refused *connect.Error
	if !errors.As(err, &refused) {
		return nil
	}
	for _, detail := range refused.Details() {
		value, err := detail.Value()
		if err != nil {
			continue
		}
		switch known := value.(type) {
		case *jarvisv1.NotOwned:
			if known.GetTitle() == nil {
				return new(jarvisv1.Title)
			}
			return known.GetTitle()
		}
	}
	return nil
}
