package experiments

import (
	"context"
	"fmt"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	"github.com/smaran-v2/smaran/loadtest/internal/cost"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// costClaim is the claim that the prices are for, and pricePrefix begins their flags.
const (
	costClaim   = 21
	pricePrefix = "price-"
)

// monthlyCost is claim 21.
func monthlyCost(_ context.Context, env Env) (claims.Finding, error) {
	return judgeCost(env.Prices), nil
}

// nextToNothing is the share of Redis' price below which the mesh may be said to cost nothing.
const nextToNothing = 0.05

func judgeCost(a cost.Assumptions) claims.Finding {
	mesh := a.Mesh()
	f := claims.Finding{
		Measured: fmt.Sprintf("calculated: Redis $%.0f, mesh $%.0f a month (%d sidecars of %g cores and %g GiB, istiod %g and %g, $%g a core-hour, $%g a GiB-hour)",
			a.Redis, mesh, a.Sidecars(), a.SidecarCPU, a.SidecarGiB, a.IstiodCPU, a.IstiodGiB, a.CoreHour, a.GiBHour),
		Figures: map[string]float64{"redis_usd": a.Redis, "mesh_usd": mesh, "sidecars": float64(a.Sidecars())},
	}
	switch {
	case mesh <= nextToNothing*a.Redis:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case mesh < a.Redis:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = fmt.Sprintf("on the prices and the number of pods; free it is not: sidecars and istiod are requested and paid for. "+
			"They cost as much as Redis at %.0f sidecars; bin/loadtest cost takes other prices", a.BreakEven())
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "with these inputs the mesh costs more"
	}
	return f
}
