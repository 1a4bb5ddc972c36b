// Package browser holds tests alone: a call from a real browser, through the stage's page and its way to smaran, to pods of a real fleet, while
// those are scaled, rolled out, drained, killed and frozen. With -measure it prints the figures of docs/results/browser.md.
package browser
