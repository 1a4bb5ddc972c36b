// Package fakefleet is a fleet in memory, for tests of what drives one: a coordinator with pods behind it, the control API's
// changes, and phones whose media stops when a pod does.
//
// It opens no socket and reads only the standard clock, so that a test inside a testing/synctest bubble runs minutes in
// milliseconds, the same each time. It keeps the rules of the wrong pod, those of a call that moves, and the simulated model's
// times, and nothing else of the real services: what it proves is about the callers.
package fakefleet
