// Package plan fixes, before a run starts and from its seed alone, who calls, under which session id, and when each of
// them is to send what.
//
// The load is open loop: an intended time depends on no reply, so a slow server gets the same requests as a fast one, and
// latency can be counted from the intended time. The same seed gives the same sessions and times for every backend.
//
// It sends nothing and knows no clock; package engine does the sending.
package plan
