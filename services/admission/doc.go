// Package admission is what comes before pods are let into rotation, whoever does that: on one machine the fleet, on Kubernetes the pods
// themselves (package gate). Pods that come together are let in together, and only once those that are in rotation have sent them the
// sessions that they will get.
//
// It lets nobody in and chooses no endpoints: it bounds the waiting, asks the pods to prepare, and says what came of it.
package admission
