// Package moves says which sessions an event moved to another pod, and whether they went where the algorithm says.
//
// A session moves when the pod that served it in the settled fleet before the event and the pod that first serves it in the
// settled fleet after it have different addresses; a pod restarted under its address is the same. The fleet is settled from
// the last endpoint change (or the event's end, if that is later) plus a margin for the change to reach every process, until
// the next event. Sessions without an answer in both settled times are unobserved: neither moved nor unmoved.
//
// A session is mispredicted when any answer of a settled time came from another pod than the algorithm picks from the
// endpoints then in force.
//
// Everything here is a function of its arguments: it asks no fleet and reads no clock.
package moves
