package claims

import (
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// evaluator judges a claim by the valid results of a report. It is false where they hold no evidence.
type evaluator func(evidence) (Finding, bool)

// Evaluate judges all 39 claims, in their order, by the results of the report; where those hold no evidence, a finding that
// is already in the report (an experiment's) stays. The report is not changed.
func Evaluate(r *reportv1.Report) []*reportv1.Claim {
	found := make(map[uint32]*reportv1.Claim, len(r.GetClaims()))
	for _, c := range r.GetClaims() {
		found[c.GetNumber()] = c
	}
	valid, all := newEvidence(r)
	out := make([]*reportv1.Claim, 0, Count)
	for _, d := range definitions {
		out = append(out, d.judge(valid, all, found[d.Number]))
	}
	return out
}

func (d Definition) judge(valid, all evidence, earlier *reportv1.Claim) *reportv1.Claim {
	if d.evaluate != nil {
		if f, ok := d.evaluate(valid); ok {
			return d.Claim(f)
		}
	}
	if Decided(earlier) {
		return earlier
	}
	if earlier.GetVerdict() == reportv1.Verdict_VERDICT_NOT_MEASURABLE_HERE && earlier.GetNote() != "" {
		return earlier // an experiment that lacked something says what
	}
	f := d.NotRun()
	if d.evaluate != nil {
		if _, ok := d.evaluate(all); ok {
			f.Note += " (there are runs here that would answer it, but they are not valid)"
		}
	}
	return d.Claim(f)
}

// Decided is whether a claim's row holds a verdict that something was measured for.
func Decided(c *reportv1.Claim) bool {
	switch c.GetVerdict() {
	case reportv1.Verdict_VERDICT_REPRODUCED, reportv1.Verdict_VERDICT_NOT_REPRODUCED, reportv1.Verdict_VERDICT_DEPENDS:
		return true
	default:
		return false
	}
}
