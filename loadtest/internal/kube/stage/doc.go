// Package stage runs load generators as Jobs inside a cluster, and connects to them. A generator's control port is on its pod's
// localhost, reached by port-forward: nobody else in the cluster can take it over, and it needs no permission and no Service.
package stage
