// Package scenario says what a run does to the fleet: the grammar of --event, and the named scenarios of compare and
// demo.
//
// It is a description only. Load is package plan's, doing it is package driver's, and judging it package moves'.
package scenario
