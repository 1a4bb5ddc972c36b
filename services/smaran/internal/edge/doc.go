// Package edge serves the coordinator's public API: plain HTTP with WHIP (RFC 9725), server-sent events and problem+json
// (RFC 9457), and the same operations by Connect and gRPC. It parses, formats, and maps errors to statuses; what an
// operation does stands in package core.
package edge
