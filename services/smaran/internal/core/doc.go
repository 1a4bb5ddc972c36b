// Package core is the coordinator without a transport: it takes an operation, has a backend choose the target, carries the
// operation there, and tells the backend what came of it. Both edges (package edge) sit on it.
package core
