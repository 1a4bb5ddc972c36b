// Package cli is bin/loadtest's command line: what each command takes, which runs it makes in which order, and where it
// writes what came of them.
//
// It measures nothing itself: a run is package engine's, its display package report's.
package cli
