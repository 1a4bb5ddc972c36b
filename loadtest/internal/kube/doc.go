// Package kube runs fleets in a Kubernetes cluster with Istio: the manifests of deploy/, one overlay a backend.
//
// For each run it makes the namespace what the backend's overlay says, with fresh pods, and waits until every proxy that routes has it.
// Events go through the API; only real signals to a process go through the node. It predicts nothing and puts no load: what a run's
// predictions need, the endpoints as they were when, is in its Status. What it found in the namespace it puts back at the end.
package kube
