// Package mesh is a small proxy with Envoy's session affinity: the data plane of the fleet that runs on one machine.
//
// It stands where the sidecar of Istio stands in the story, between smaran and the pods, and chooses a pod for each request
// by one Policy over the endpoints in a file that a real Envoy reads as well (package endpoints). A client sees of it what it
// would see of Envoy as Istio configures it: the same pod for the same session, before and after a change of the
// endpoints; the same tokens of stateful sessions; draining pods reachable by cookie and by nothing else; a failed
// connection retried, on the same pod for a hash; 503, 504, 502, 403 and 404 for the same causes with the same bodies, or
// their gRPC form. Package envoyconfig renders the configuration of that Envoy, and the tests compare the two.
//
// Time-outs are Envoy's: a request's runs from its last byte to the response's last, over all tries, and so never for a
// WebSocket. Requests that announce a stream (IsStream) have one of their own.
//
// Where it differs from Envoy, a client gains or does not notice:
//   - A request's body is not read before the connection stands, unless it is small, so a failed connection is retried
//     whatever the body's size. Envoy gives up beyond its buffer limit. Nothing is ever sent twice.
//   - A gRPC status in the head of a response is not retried (Istio's unavailable and cancelled).
//   - The trailers of HTTP/1.1 responses are passed on. HTTP/1.0 is answered.
//   - It adds no server header and no x-envoy-expected-rq-timeout-ms, and follows no x-envoy-* header of a request.
//   - A kept connection is used by one request at a time, and the one used last is used next, as in Envoy; each of Envoy's
//     workers has its own, and so has its own rotation for round_robin.
//
// It is no general proxy: no TLS, one cluster, one route, no health checks, outlier detection, priorities or zones.
package mesh
