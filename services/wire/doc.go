// Package wire holds the names that smaran, the pods, the mesh and their clients exchange: headers, paths, media types,
// event names, and the problem+json body with its stable codes. It decides nothing; the session header itself, with its
// grammar, belongs to package session.
package wire
