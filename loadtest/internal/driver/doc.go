// Package driver brings a fleet up for a run, steers it while the run goes on, and takes it down.
//
// A Driver is a place where fleets run; Local is this machine, with bin/fleet as a child process. What to do and when is
// decided by packages scenario and engine.
package driver
