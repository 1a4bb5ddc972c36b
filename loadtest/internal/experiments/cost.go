package experiments

import (
	"context"
	"fmt"
	"strconv"

	"github.com/smaran-v2/smaran/loadtest/internal/claims"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// hoursAMonth is how cloud prices count a month.
const hoursAMonth = 730

// Prices are the inputs of the monthly cost. They are assumptions, not measurements: the defaults are the story's figure for
// Redis, Istio's own resource requests, and round list prices of a cloud's machines.
type Prices struct {
	Redis      float64 `name:"redis-usd" default:"300" help:"Redis, US$ a month (the story's figure)."`
	Pods       int     `default:"12" help:"Pods that have a sidecar."`
	SidecarCPU float64 `name:"sidecar-cpu" default:"0.1" help:"Cores requested by a sidecar (Istio's default)."`
	SidecarGiB float64 `name:"sidecar-gib" default:"0.125" help:"GiB requested by a sidecar (Istio's default)."`
	IstiodCPU  float64 `name:"istiod-cpu" default:"0.5" help:"Cores requested by istiod (Istio's default)."`
	IstiodGiB  float64 `name:"istiod-gib" default:"2" help:"GiB requested by istiod (Istio's default)."`
	CoreHour   float64 `name:"core-hour-usd" default:"0.03" help:"US$ for a core and hour."`
	GiBHour    float64 `name:"gib-hour-usd" default:"0.004" help:"US$ for a GiB and hour."`
}

// args are the flags that give these prices, all of them: a default may change.
func (p Prices) args() []string {
	amount := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	return []string{
		"--price-redis-usd", amount(p.Redis), "--price-pods", strconv.Itoa(p.Pods),
		"--price-sidecar-cpu", amount(p.SidecarCPU), "--price-sidecar-gib", amount(p.SidecarGiB),
		"--price-istiod-cpu", amount(p.IstiodCPU), "--price-istiod-gib", amount(p.IstiodGiB),
		"--price-core-hour-usd", amount(p.CoreHour), "--price-gib-hour-usd", amount(p.GiBHour),
	}
}

// mesh is what the sidecars and istiod cost a month.
func (p Prices) mesh() float64 {
	cores := float64(p.Pods)*p.SidecarCPU + p.IstiodCPU
	gib := float64(p.Pods)*p.SidecarGiB + p.IstiodGiB
	return hoursAMonth * (cores*p.CoreHour + gib*p.GiBHour)
}

// costClaim is the claim that the prices are for.
const costClaim = 21

// monthlyCost is claim 21.
func monthlyCost(_ context.Context, env Env) (claims.Finding, error) {
	return judgeCost(env.Prices), nil
}

// nextToNothing is the share of Redis' price below which the mesh may be said to cost nothing.
const nextToNothing = 0.05

func judgeCost(p Prices) claims.Finding {
	mesh := p.mesh()
	f := claims.Finding{
		Measured: fmt.Sprintf("calculated: Redis $%.0f, mesh $%.0f a month (%d sidecars of %g cores and %g GiB, istiod %g and %g, $%g a core-hour, $%g a GiB-hour)",
			p.Redis, mesh, p.Pods, p.SidecarCPU, p.SidecarGiB, p.IstiodCPU, p.IstiodGiB, p.CoreHour, p.GiBHour),
		Figures: map[string]float64{"redis_usd": p.Redis, "mesh_usd": mesh, "pods": float64(p.Pods)},
	}
	switch {
	case mesh <= nextToNothing*p.Redis:
		f.Verdict = reportv1.Verdict_VERDICT_REPRODUCED
	case mesh < p.Redis:
		f.Verdict = reportv1.Verdict_VERDICT_DEPENDS
		f.Note = fmt.Sprintf("on the prices and the number of pods; free it is not: sidecars and istiod are requested and paid for. "+
			"They cost as much as Redis at %.0f pods", p.breakEven())
	default:
		f.Verdict = reportv1.Verdict_VERDICT_NOT_REPRODUCED
		f.Note = "with these inputs the mesh costs more"
	}
	return f
}

// breakEven is the number of sidecars at which the mesh costs as much as Redis.
func (p Prices) breakEven() float64 {
	perSidecar := hoursAMonth * (p.SidecarCPU*p.CoreHour + p.SidecarGiB*p.GiBHour)
	istiod := hoursAMonth * (p.IstiodCPU*p.CoreHour + p.IstiodGiB*p.GiBHour)
	return (p.Redis - istiod) / perSidecar
}
