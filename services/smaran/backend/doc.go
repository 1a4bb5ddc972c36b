// Package backend holds the ways to choose the pod of a session: one interface, one file a way, one conformance suite
// over all (conformance_test.go).
//
// Backends know sessions, endpoints and targets. They make no request to a pod and know no transport: whoever sends the
// request tells them what came of it.
package backend
