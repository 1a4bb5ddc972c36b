package experiments

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/mesh"
)

const (
	oldPods, allPods = 3, 10
	// heldRequests are under way at the old pods while they are busy, about twenty each.
	heldRequests = 60
	newSessions  = 500
	// settleTime bounds how long the mesh may take to see new endpoints.
	settleTime = 5 * time.Second
)

// errSettle is returned where the mesh does not come to use new pods.
var errSettle = errors.New("the mesh did not use the new pods in time")

// leastRequest is claim 31: where new sessions go after scaling out, while the old pods are busy and while they are idle.
func leastRequest(ctx context.Context, env Env) (claims.Finding, error) {
	busy, err := newSessionShare(ctx, env, heldRequests)
	if err != nil {
		return claims.Finding{}, err
	}
	idle, err := newSessionShare(ctx, env, 0)
	if err != nil {
		return claims.Finding{}, err
	}
	return judgeLeastRequest(busy, idle), nil
}

// newSessionShare is the share of new sessions, one request each, that pods get which came after so many requests were under
// way at the old ones.
func newSessionShare(ctx context.Context, env Env, held int) (_ float64, err error) {
	r, err := newRig(ctx, env, mesh.LeastRequest, allPods, oldPods, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = joined(err, r.close()) }()
	release, err := hold(ctx, r, held)
	defer release()
	if err != nil {
		return 0, err
	}
	if err := r.offer(allPods); err != nil {
		return 0, err
	}
	old := map[string]bool{}
	for _, e := range r.set.Endpoints[:oldPods] {
		old[e.Pod] = true
	}
	settled := time.Now().Add(settleTime)
	for pod := r.set.Endpoints[0].Pod; old[pod]; {
		if time.Now().After(settled) {
			return 0, errSettle
		}
		if pod, _, err = r.ask(ctx, r.url, "", nil); err != nil {
			return 0, err
		}
	}
	n := 0
	for _, id := range sessions(env.rand(31), newSessions) {
		pod, _, err := r.ask(ctx, r.url, id, nil)
		if err != nil {
			return 0, err
		}
		if !old[pod] {
			n++
		}
	}
	return float64(n) / newSessions, nil
}

// hold opens requests that stay under way until they are released. The release is to be called in any case.
func hold(ctx context.Context, r *rig, n int) (release func(), err error) {
	holding, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	release = func() {
		cancel()
		wg.Wait()
	}
	for range n {
		req, err := http.NewRequestWithContext(holding, http.MethodGet, r.url+holdPath, nil)
		if err != nil {
			return release, err
		}
		res, err := r.client.Do(req) // returns with the headers, which a held request sends at once
		if err != nil {
			return release, fmt.Errorf("hold a request: %w", err)
		}
		wg.Go(func() {
			<-holding.Done()
			_ = res.Body.Close()
		})
	}
	return release, nil
}

// newOnly is the share from which new sessions count as sent to new pods, and evenShare the one that they have by number alone,
// with three standard errors at 500 sessions.
const (
	newOnly   = 0.90
	evenShare = 1 - float64(oldPods)/allPods + 0.06
)

func judgeLeastRequest(busy, idle float64) claims.Finding {
	f := claims.Finding{
		Measured: fmt.Sprintf("after %d->%d, new pods got %s of new sessions while the old ones were busy, %s while they were idle (by number: %s)",
			oldPods, allPods, share(busy), share(idle), share(1-float64(oldPods)/allPods)),
		Figures: map[string]float64{"new_share_busy": busy, "new_share_idle": idle},
	}
	switch {
	case busy >= newOnly && idle >= newOnly:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case busy <= evenShare && idle <= evenShare:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "new pods get no more than their share"
	default:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = "on requests under way at that moment, which are all that it counts: sessions that are quiet count for nothing"
	}
	return f
}
