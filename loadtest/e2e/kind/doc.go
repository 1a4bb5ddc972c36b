// Package kind holds the end-to-end test of the Kubernetes driver: a real cluster with Istio, real sidecars, real calls. Run it with
//
//	make e2e-kind
//
// which builds the images and loads them first; scripts/kind-up makes the cluster. It looks at what must hold on any machine, however busy:
// where sessions go and what calls survive, not how long it takes. And it looks at what the variants of deploy/ say that they do, from a pod
// with curl; and at what Prometheus and Jaeger see. It uses namespace dev, and leaves it as it was, and namespace observability, which must
// not be there. The traffic rules are put to the test by the experiments of package experiments/istio, in namespaces of their own.
package kind
