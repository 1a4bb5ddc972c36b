// Package registry keeps, in one Redis, which pod owns which session.
//
// A pod holds one lease, pod:<name>, which it renews each second and which expires after three. A session's record,
// sess:<id>, names its owner by pod and incarnation, and counts its owners in an epoch. A claim, one Lua script, returns
// the owner while its lease is live, and otherwise assigns the session anew and raises the epoch. Pods fence on the
// epoch, so that a stale answer of this register does no harm.
//
// The scripts touch a session and several pods at once: this is for one Redis, not for a Cluster. Every key is
// passed in KEYS nevertheless.
//
// It is not in the path of a call: what happens without Redis is decided by its users, and nothing here says that a pod
// is unhealthy because Redis is.
package registry
