// Package smaran is the coordinator: it validates the session of each request, has an affinity backend choose the pod, and carries
// the request there. Media never passes through it.
//
// This package is configuration and wiring. The ways to choose are in package backend, what an operation does in
// internal/core, the public API in internal/edge, and the sealing of the mesh's tokens in package token.
package smaran
