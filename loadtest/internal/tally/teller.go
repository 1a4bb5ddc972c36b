package tally

import "time"

// Teller is told what a Recorder is, passes it on to an Observer, and keeps nothing: for callers who go on without an end.
type Teller struct{ Observer }

// Setup tells of a call that was placed.
func (t Teller) Setup(s Setup) { t.Up(s) }

// Loss tells of a call that went down.
func (t Teller) Loss(call int, at time.Duration) { t.Down(call, at) }

// HungUp tells of a call whose caller ended it.
func (t Teller) HungUp(call int, at time.Duration) { t.Down(call, at) }

// SideError is for those who keep: no observer is told.
func (Teller) SideError(string) {}
