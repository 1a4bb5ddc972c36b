// Package affinity decides which host serves a session, exactly as Envoy does.
//
// It holds algorithms only: ring hash and Maglev equal to Envoy's bit for bit, rendezvous hashing, a modulo
// control, the hashes that Envoy's route hash policies derive from a request, the tokens of Envoy's stateful
// session filter, and the prediction of which sessions move when the hosts change. Everything is a pure function
// of its arguments, so two processes that see the same hosts agree without talking to each other.
//
// It is not a load balancer: it knows no health, priority, locality, panic mode, connection or clock. Callers pass
// the hosts that are eligible, in the order of the endpoint discovery response, and bring their own randomness
// for requests that carry no hash.
//
// The source files named in the comments are Envoy's, under source/ of github.com/envoyproxy/envoy. The tests
// compare this package with a running Envoy.
package affinity
