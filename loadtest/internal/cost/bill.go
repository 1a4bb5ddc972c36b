package cost

import (
	"fmt"
	"math"

	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// Item is a part of a bill.
type Item struct {
	// Name says what it is, and Made what it is made of.
	Name, Made string
	// USD a month.
	USD float64
}

// Bill is what a backend costs a month.
type Bill struct {
	Backend backend.Name
	Items   []Item
}

// Total of a bill in US$ a month.
func (b Bill) Total() (sum float64) {
	for _, i := range b.Items {
		sum += i.USD
	}
	return sum
}

// Bills are those of all backends, in the order of their names in services.
//
// Worked example, with the defaults: a core costs 730 h x $0.03 = $21.90 a month and a GiB $2.92. Twelve sidecars of 0.1 cores and 0.125
// GiB are $26.28 + $4.38 = $30.66, istiod is $10.95 + $5.84 = $16.79, so a mesh is $47.45.
func (a Assumptions) Bills() (out []Bill) {
	for _, name := range backend.Names() {
		b := Bill{Backend: name, Items: []Item{a.smaran()}}
		switch name {
		case backend.Redis, backend.RedisPlain:
			b.Items = append(b.Items, Item{"Redis", "managed", a.Redis})
		case backend.IstioHash, backend.StatefulHeader, backend.StatefulCookie, backend.Handoff:
			b.Items = append(b.Items, a.sidecars(), a.istiod())
		}
		out = append(out, b)
	}
	return out
}

// Mesh is what the sidecars and istiod cost a month.
func (a Assumptions) Mesh() float64 { return a.sidecars().USD + a.istiod().USD }

// BreakEven is the number of sidecars at which the mesh costs as much as Redis; infinite where they cost nothing.
func (a Assumptions) BreakEven() float64 {
	one := a.requested(1, a.SidecarCPU, a.SidecarGiB)
	if one == 0 {
		return math.Inf(1)
	}
	return (a.Redis - a.istiod().USD) / one
}

// Sidecars are those of jarvis' pods and smaran's replicas.
func (a Assumptions) Sidecars() int { return a.Pods + a.Replicas }

func (a Assumptions) smaran() Item {
	return a.item("smaran", a.Replicas, a.SmaranCPU, a.SmaranGiB)
}

func (a Assumptions) sidecars() Item {
	return a.item("sidecars", a.Sidecars(), a.SidecarCPU, a.SidecarGiB)
}

func (a Assumptions) istiod() Item { return a.item("istiod", 1, a.IstiodCPU, a.IstiodGiB) }

func (a Assumptions) item(name string, number int, cores, gib float64) Item {
	return Item{name, fmt.Sprintf("%d × %g cores, %g GiB", number, cores, gib), a.requested(number, cores, gib)}
}

// requested is what a number of containers cost a month.
func (a Assumptions) requested(number int, cores, gib float64) float64 {
	return a.Hours * float64(number) * (cores*a.CoreHour + gib*a.GiBHour)
}
