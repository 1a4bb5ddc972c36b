// Package conduct splits a run in two: the conductor, which may change the fleet, and the generator, which puts the load from a place
// beside the fleet that the conductor can't reach the fleet from, such as a Job in its cluster.
//
// The conductor dials the generator and serves it conductor.v1 and fleet.v1 over that connection (package tunnel). So the generator
// needs no rights and no address of the conductor's, and package engine runs in it as everywhere: events go through a driver.Steering.
// Where generators are started is a Stage's business, and what a fleet is a driver.Driver's.
package conduct
