// Package crowd is the callers of one lane of a stage: as many as the stage orders, at the rate that it orders, for as long as it likes.
//
// It dials the stage (stage.v1), obeys what comes back, and tells what its callers see. A stage that is away or slow changes nothing for
// the callers: what can't be told is dropped and counted, and nothing that is kept grows with time. Who calls and when is package plan's,
// what a caller does package client's; adding up is the stage's.
package crowd
