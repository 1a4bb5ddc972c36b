// Package cost is what each backend costs a month beyond the pods that serve: `loadtest cost`, and claim 21.
//
// It calculates and measures nothing. All it goes by are assumptions, which are flags, and which are shown above what came of them. What
// every backend has alike, jarvis' own pods, is left out; traffic, disks, people and discounts are too.
package cost
