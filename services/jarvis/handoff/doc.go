// Package handoff moves sessions between pods: before the endpoints change, as far as that is known, and at the first request
// after, where it was not.
//
// Whoever routes by the mesh's hash and knows the endpoints can tell to the bit who will have a session once they change. So a pod
// sends each session's state to its next owner first (Prepare). That is a copy: the conversation goes on where it is, and is brought
// up to date by one exchange when the next owner claims it (Settle), as in the live migration of virtual machines (Clark et al.,
// NSDI 2005: pre-copy, then a short stop). A pod that still misses a session asks the pods that had it under the endpoints before.
//
// One pod owns a session at a time, by its title: the epoch, and the incarnation of the process that holds it. The owner gives it once,
// to one process, and knows from then on where it went. A pod that can't reach the owner makes itself one under the next epoch; of
// two titles the higher wins, and whoever sees it acts on it.
//
// A request at a pod that is not the owner is passed on to it, once: the pod it comes to serves it or refuses it.
//
// The package neither serves requests nor holds calls: package jarvis does, and asks this one where a session is.
package handoff
