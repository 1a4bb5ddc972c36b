package istio

import (
	"context"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/probe"
	"github.com/smaran-v2/smaran/services/session"
)

// byHeader is a DestinationRule's hash of the session header, on a ring of at least so many entries; 0 leaves that to Envoy.
func byHeader(ringSize int64) map[string]any {
	return hashOf(strings.ToLower(session.Header), ringSize)
}

func hashOf(header string, ringSize int64) map[string]any {
	ring := map[string]any{}
	if ringSize > 0 {
		ring["minimumRingSize"] = ringSize
	}
	return map[string]any{"consistentHash": map[string]any{"httpHeaderName": header, "ringHash": ring}}
}

// byCookie hashes a cookie, which Envoy gives to who has none.
func byCookie(name string) map[string]any {
	return map[string]any{"consistentHash": map[string]any{"httpCookie": map[string]any{"name": name, "ttl": "0s"}}}
}

func byLeastRequest() map[string]any { return map[string]any{"simple": "LEAST_REQUEST"} }

// pins waits until a Service gives a new session a cookie.
func (n *namespace) pins(ctx context.Context, service string) error {
	return n.gives(ctx, service, setCookie)
}

// gives waits until a Service's replies have a header.
func (n *namespace) gives(ctx context.Context, service, header string) error {
	return n.until(ctx, service+" to reply with "+header, func(ctx context.Context) (bool, error) {
		answers, err := n.ask(ctx, inside, probe.Batch{URL: url(service, "/"), Sessions: sessions("gives", 1), Requests: 1, Keep: []string{header}})
		return len(answers) == 1 && answers[0].Header[header] != "", err
	})
}
