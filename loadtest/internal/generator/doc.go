// Package generator is the program that runs inside a cluster: the load of one run, for the loadtest outside that conducts it. It is
// apart from that one so that the image holds no report, no manifests and no client of a cluster's API.
package generator
