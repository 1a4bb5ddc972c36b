package claims

import (
	"fmt"
	"slices"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// Count is the number of claims.
const Count = 39

// Place is where a claim is put to the test.
type Place string

// The places.
const (
	// PlaceScenario: the results of a scenario decide.
	PlaceScenario Place = "scenario"
	// PlaceExperiment: `bin/loadtest claims` decides.
	PlaceExperiment Place = "experiment"
	// PlaceMesh: `bin/loadtest claims --context` decides, on Kubernetes with Istio; one machine cannot.
	PlaceMesh Place = "mesh"
)

// Definition is one claim.
type Definition struct {
	// Number is 1 to Count.
	Number uint32
	Text   string
	// Source is S (the Smaran/Jarvis story), T (the traffic-management article), P (the strong-sticky post), K (the sticky-session
	// proof of concept), or several.
	Source string
	// Method is how it is put to the test.
	Method string
	Place  Place
	// Needs is the scenario that decides it, or what a cluster is needed for.
	Needs string

	evaluate evaluator
}

// kindContext is the cluster that scripts/kind-up makes.
const kindContext = "kind-smaran"

// Command is the command that puts the claim to the test, or empty where there is none.
func (d Definition) Command() string {
	switch d.Place {
	case PlaceScenario:
		return "bin/loadtest " + d.Needs
	case PlaceExperiment:
		return fmt.Sprintf("bin/loadtest claims --only %d", d.Number)
	case PlaceMesh:
		return fmt.Sprintf("bin/loadtest claims --context %s --only %d", kindContext, d.Number)
	default:
		return ""
	}
}

// All returns the claims by number.
func All() []Definition {
	return slices.Clone(definitions[:])
}

// Lookup returns a claim by its number.
func Lookup(number uint32) (Definition, bool) {
	if number < 1 || number > Count {
		return Definition{}, false
	}
	return definitions[number-1], true
}

// Claim is the definition's row in a report, with a finding.
func (d Definition) Claim(f Finding) *reportv1.Claim {
	return &reportv1.Claim{
		Number:   d.Number,
		Text:     d.Text,
		Source:   d.Source,
		Verdict:  f.Verdict,
		Measured: f.Measured,
		Note:     f.Note,
		Figures:  f.Figures,
	}
}

// Finding is what was found about a claim.
type Finding struct {
	Verdict reportv1.Verdict
	// Measured says in one line what was measured, with the figure.
	Measured string
	// Note says what the verdict depends on, or why there is none.
	Note string
	// Figures are the same for machines.
	Figures map[string]float64
}

// NotRun is the finding where a report holds no evidence for the claim.
func (d Definition) NotRun() Finding {
	if d.Place == PlaceMesh {
		return Finding{
			Verdict: reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE,
			Note:    "needs " + d.Needs + " (" + d.Command() + ")",
		}
	}
	return Finding{Verdict: reportv1.Verdict_VERDICT_NOT_RUN, Note: d.Command()}
}
