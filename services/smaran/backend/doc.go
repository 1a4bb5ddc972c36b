// Package backend holds the ways to choose the pod of a session: one interface, one file a way, one conformance suite
// over all (conformance_test.go).
//
// Backends know sessions, endpoints and targets. They make no request to a pod and know no transport: whoever sends the
// request tells them what came of it.
//
// Who tries again when a pod can't be reached differs, as it does between the systems that they stand for:
//
//   - istio-hash, stateful-header and stateful-cookie send through the mesh, which retries a failed connection as Istio's default
//     policy does: twice, at the same pod where it hashes, at another where it does not. Nothing is tried again here, and a redial,
//     which goes to its pod, has no retries but those of the way there (see Peers).
//   - redis drops the owner, claims the session again without the pod that failed, and tries that once. It does the same where the mesh
//     took the request to another pod, which refused it.
//   - roundrobin, redis-plain and app-hash try nothing again: the request fails, until the endpoints leave the pod out.
package backend
