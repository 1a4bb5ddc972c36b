// Package jarvis is one pod: simulated model weights, the sessions' state, and the calls of those sessions, behind the RPC
// service jarvis.v1 and plain HTTP.
//
// It serves whoever asks: a session it never saw is served cold. Which pod a request should go to is decided elsewhere, by
// the coordinator and the mesh; a pod only refuses what it can't do, which is to act on a call that it does not hold, or for
// an epoch that has passed.
package jarvis
