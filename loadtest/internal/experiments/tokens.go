package experiments

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/token"
	"github.com/smaran-v2/smaran/services/wire"
)

const (
	tokenPods     = 5
	tokenRequests = 200
)

// tokenNames is claim 26: what the mesh's token says, and what becomes of a session that drops it.
func tokenNames(ctx context.Context, env Env) (_ claims.Finding, err error) {
	r, err := newRig(ctx, env, mesh.StatefulByHeader, tokenPods, tokenPods, nil)
	if err != nil {
		return claims.Finding{}, err
	}
	defer func() { err = joined(err, r.close()) }()
	id := sessions(env.rand(26), 1)[0]
	first, reply, err := r.ask(ctx, r.url, id, nil)
	if err != nil {
		return claims.Finding{}, err
	}
	given := reply.Get(wire.HeaderStateful)
	address, decodes := affinity.DecodeHeader(given)
	e, known := r.set.LookupAddress(address)
	kept, dropped := 0, 0
	for range tokenRequests {
		with, _, err := r.ask(ctx, r.url, id, http.Header{http.CanonicalHeaderKey(wire.HeaderStateful): {given}})
		if err != nil {
			return claims.Finding{}, err
		}
		without, _, err := r.ask(ctx, r.url, id, nil)
		if err != nil {
			return claims.Finding{}, err
		}
		if with == first {
			kept++
		}
		if without == first {
			dropped++
		}
	}
	return judgeToken(decodes && known && e.Pod == first, float64(kept)/tokenRequests, float64(dropped)/tokenRequests), nil
}

// chance is twice the share that one of the pods gets by chance.
const chance = 2.0 / tokenPods

func judgeToken(names bool, kept, dropped float64) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("token decodes to the address of its pod: %t; %s of requests stay with it, %s without (chance: %s)",
			names, share(kept), share(dropped), share(1.0/tokenPods)),
		Figures: map[string]float64{"kept_with_token": kept, "kept_without_token": dropped},
		Note:    "of the header mode; the cookie's is base64 of a message that holds ip:port",
	}
	switch {
	case names && kept >= affinityKept && dropped <= chance:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case names && kept > dropped:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_DEPENDS, "on what else keeps a session"
	default:
		f.Verdict, f.Note = reportv1.Verdict_VERDICT_NOT_REPRODUCED, ""
	}
	return f
}

// fixed are endpoints that do not change.
type fixed struct{ set endpoints.Set }

func (f fixed) Current() endpoints.Set { return f.set }

// forgery is claim 28: a token that a client makes up, for the bare filter and for smaran's stateful-header.
func forgery(ctx context.Context, env Env) (_ claims.Finding, err error) {
	r, err := newRig(ctx, env, mesh.StatefulByHeader, tokenPods, tokenPods, nil)
	if err != nil {
		return claims.Finding{}, err
	}
	defer func() { err = joined(err, r.close()) }()
	clock := clockwork.NewRealClock()
	sealer, err := token.NewSealer([]token.Key{token.RandomKey("claim")}, time.Hour, clock)
	if err != nil {
		return claims.Finding{}, err
	}
	sealed, err := backend.New(backend.StatefulHeader, backend.Deps{
		Endpoints: fixed{r.set}, Metrics: backend.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
		Clock: clock, Seed: env.Seed, MeshURL: r.url, MeshPolicy: mesh.StatefulByHeader, Sealer: sealer,
	})
	if err != nil {
		return claims.Finding{}, err
	}
	wanted := r.set.Endpoints[tokenPods-1]
	forged := http.Header{http.CanonicalHeaderKey(wire.HeaderStateful): {affinity.EncodeHeader(wanted.Address)}}
	bare, behindSmaran := 0, 0
	for _, id := range sessions(env.rand(28), tokenRequests) {
		pod, _, err := r.ask(ctx, r.url, id, forged)
		if err != nil {
			return claims.Finding{}, err
		}
		if pod == wanted.Pod {
			bare++
		}
		target, err := sealed.Route(ctx, backend.Request{Session: session.ID(id), Header: forged})
		if err != nil {
			return claims.Finding{}, err
		}
		if pod, _, err = r.ask(ctx, target.BaseURL, id, target.Header); err != nil {
			return claims.Finding{}, err
		}
		if pod == wanted.Pod {
			behindSmaran++
		}
	}
	return judgeForgery(float64(bare)/tokenRequests, float64(behindSmaran)/tokenRequests), nil
}

func judgeForgery(bare, sealed float64) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("a made-up token reached the pod it names in %s of requests at the bare filter, in %s behind smaran's sealed token (chance: %s)",
			share(bare), share(sealed), share(1.0/tokenPods)),
		Figures: map[string]float64{"bare": bare, "sealed": sealed},
	}
	switch {
	case bare < affinityKept:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
	case sealed > chance:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
		f.Note = "sealing did not help"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
		f.Note = "of Envoy's filter as it is; smaran's sealed token takes the choice away"
	}
	return f
}
