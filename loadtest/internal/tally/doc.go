// Package tally keeps what callers saw, and turns it into the counts, histograms and timeline of report.v1.
//
// Recording is cheap and sharded, so that the measuring disturbs the measured little: each worker has its own HDR
// histograms, merged at the end. Everything else is derived after the run from the records, by functions that depend on
// nothing but them, so that what counts as what can be read and tested in one place.
//
// It does not decide what a caller does; package client does.
package tally
