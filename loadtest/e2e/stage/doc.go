// Package stage tests what `make stage` runs, end to end on this machine: fleets, crowds and the page's API, with the real programs. It
// opens no browser.
package stage
