package dns

import (
	"context"
	"io"
	"net/http"
	"net/netip"

	"connectrpc.com/connect"

	jarvisv1 "github.com/smaran-v2/smaran/proto/jarvis/v1"
	"github.com/smaran-v2/smaran/proto/jarvis/v1/jarvisv1connect"
	"github.com/smaran-v2/smaran/services/wire"
)

// verdict is what a check says.
type verdict int

const (
	// silent: no answer.
	silent verdict = iota
	ready
	// leaving: ready, and takes nothing new.
	leaving
	notReady
	// unnamed: ready, and does not say who it is.
	unnamed
)

// good is whether Envoy calls the check passed.
func (v verdict) good() bool { return v == ready || v == leaving }

// find checks one address, and asks for the pod's name if the check is good and ask says so.
func (w *Watcher) find(ctx context.Context, address netip.Addr, ask bool) finding {
	v := w.probe(ctx, address)
	if !v.good() || !ask {
		return finding{verdict: v}
	}
	name, err := w.askName(ctx, address)
	if err != nil || name == "" {
		w.log.DebugContext(ctx, "a pod is ready but does not tell its name", "address", address, "error", err)
		return finding{verdict: unnamed}
	}
	return finding{verdict: v, pod: name}
}

// probe asks for readiness.
func (w *Watcher) probe(ctx context.Context, address netip.Addr) verdict {
	ctx, cancel := context.WithTimeout(ctx, CheckTimeout)
	defer cancel()
	url := "http://" + netip.AddrPortFrom(address, w.name.Admin).String() + wire.PathReady
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return silent
	}
	res, err := w.http.Do(req)
	if err != nil {
		return silent
	}
	// What is left unread costs a connection, and a short answer is read at once.
	_, _ = io.CopyN(io.Discard, res.Body, maxReady)
	_ = res.Body.Close()
	switch {
	case res.StatusCode != http.StatusOK:
		return notReady
	case res.Header.Get(wire.HeaderEnvoyDegraded) != "":
		return leaving
	}
	return ready
}

// maxReady bounds what is read of an answer to a check, in bytes.
const maxReady = 4 << 10

func (w *Watcher) askName(ctx context.Context, address netip.Addr) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, CheckTimeout)
	defer cancel()
	client := jarvisv1connect.NewJarvisServiceClient(w.http, "http://"+netip.AddrPortFrom(address, w.name.Port).String())
	res, err := client.Status(ctx, connect.NewRequest(&jarvisv1.StatusRequest{}))
	if err != nil {
		return "", err
	}
	return res.Msg.GetPod(), nil
}
