// Package discovery tells which pods there are, where no process that starts them can say so: from a file, from DNS and the
// pods' own readiness, or from a Kubernetes Service. It says what Envoy or Istio would see in the same place, so that what is
// computed from the list agrees with the mesh.
//
// It sends nothing to a pod but questions about itself, and chooses none.
package discovery
