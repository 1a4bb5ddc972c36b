// Package istio puts those claims to the test that only Kubernetes with Istio can decide: `bin/loadtest claims --context kind-smaran`.
//
// Each experiment has a namespace of its own, which is gone afterwards, also after an error or an interrupt. In it are the project's own
// objects, rendered from deploy/, and probes (package probe) as clients, and as servers where a claim is not about the pods. Only claim
// 19 touches what others use: it stops istiod for about a minute, and starts it again.
//
// A file is one claim: what measures, and beside it a pure function that judges what was measured and is tested without a cluster.
// A difference in latency counts only where it is larger than what two equal ways differ by (see latency.go).
package istio
