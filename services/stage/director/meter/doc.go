// Package meter counts what the callers of one lane see: totals, the last ten seconds, and each second by itself.
//
// Times count from the opening of the scene, and may come late and in any order within what is kept. It judges nothing, and knows no session.
package meter
