// Package fakecluster is a cluster for tests: client-go's fake API server with as much of a control plane as fleets need. Deployments
// have pods, pods get ready and end after a while, Services have EndpointSlices, proxies learn of them a little later, and a Job has a pod
// that a generator can be reached in. No image runs in it.
//
// In a synctest bubble all of that takes no time.
package fakecluster
