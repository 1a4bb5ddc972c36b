// Package state keeps what a pod knows of its sessions: where each conversation stands, the answers it can repeat, which
// epoch fences it, and from when on its caches are ready. It bounds how many it keeps, and forgets idle ones.
//
// It never waits. A load is a span of time that begins with a session's first request, and whoever asks within it is told
// how long is left: so concurrent first requests share one load, a caller that gives up takes nothing from the others,
// and no lock is held over a wait.
//
// Invariants:
//   - At most Options.Max sessions exist. One in use (held by a request or pinned by a call) is never dropped.
//   - Within a copy of a conversation the turn rises by exactly one with each answer, and each checksum follows from the
//     one before it.
//   - A copy is replaced only by a caller who stands at a point that the copy does not contain; its turn then starts anew,
//     which is how a caller sees that state was lost.
//   - A session's epoch never falls while the pod keeps the session.
package state
