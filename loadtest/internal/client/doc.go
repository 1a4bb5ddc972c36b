// Package client is one simulated caller: a session, its call, its event stream, and what it asks.
//
// It behaves as a caller's program would, and the same for every backend:
//   - It redials when an answer shows that the call is elsewhere (OnMisroute), when its media stops, and on pod_lost. It
//     hangs the old call up first, as a full reconnect does: only a planned migration has two calls at once. A redial after a
//     loss names the lost pod; one after a misroute names none.
//   - An event stream that ends without pod_lost or ended is opened again, and the media goes on.
//   - It echoes the stateful session that it was given, header and cookie, and never makes one up.
//
// It tells a Recorder what happened, each class by itself. When to ask is package plan's, the peer connection is package
// peer's behind the Phone interface, and adding up is package tally's.
package client
