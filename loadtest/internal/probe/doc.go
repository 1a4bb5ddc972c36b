// Package probe is what the experiments on a cluster leave there: a pod that answers requests and says who it is, and that asks for
// others on demand and times them, or passes them on as a hop of a chain. `loadtest probe` runs it.
//
// Both halves are in one program, so that a pair of them is client and server with and without a sidecar. It judges nothing, and does not
// take a service's place: where a claim is about jarvis or smaran, the experiment asks those.
package probe
