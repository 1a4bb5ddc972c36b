// Package gate lets pods into the rotation of a Kubernetes Service. A pod whose template names a readiness gate is not ready, and so not in
// rotation, until somebody has set the condition of that type to True. Here that are the pods themselves: the one that holds a Lease has
// those in rotation prepare for the new ones first.
//
// The kubelet makes a pod ready, and the control plane lists it: this package only sets the condition, once, and never takes it back. So a
// container that is started anew in a pod that was let in is back in rotation as soon as it is ready, with nothing sent ahead: its name and
// address are the same, so no session changes its owner, and what it misses it asks for at the first request.
//
// It needs these rights in the Service's namespace: get on that Service; list and watch on pods; patch on pods/status; get, create and
// update on leases. A right that is missing is logged each time it is missed, and new pods stay out of rotation.
package gate
