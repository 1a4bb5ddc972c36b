// Package claims holds what the story and its companions claim, and judges each claim by the figures of a report.
//
// There are 39, as in docs/claims.md. A claim is judged by an evaluator over results (what a scenario measured), by an experiment
// (package experiments, whose findings are in the report already), or not on one machine at all; then it says what it needs. The
// thresholds of the verdicts are constants beside their evaluator, each with its reason. Results that are not valid are no evidence.
package claims
