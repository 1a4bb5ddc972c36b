// Package engine runs one scenario against one fleet: it sends what package plan planned when it is due, does the events
// while the load goes on, and makes a report.v1 Result of what the callers saw.
//
// It knows no backend and compares nothing. A run that did not go as planned is marked invalid with the reasons; it is never
// mended or left out.
package engine
