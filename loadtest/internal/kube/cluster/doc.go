// Package cluster is the API server as the Kubernetes driver uses it: typed objects over client-go's dynamic client, so that the program
// holds the few types it needs and not the clientset of all of them.
//
// It knows nothing of fleets. Every error names the permission that was missing, if it was that.
package cluster
