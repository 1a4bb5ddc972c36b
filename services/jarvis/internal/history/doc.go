// Package history records who owned which session and what was answered, while faults happen, and says afterwards where that breaks
// what the handoff of sessions promises:
//
//   - a title (epoch, incarnation) is one pod's, and without a fault that separates pods an epoch is one process's;
//   - an owner gives a session once, to one process, whatever happens;
//   - a title's answers are one conversation, without a fork;
//   - who has seen an epoch gets no answer from below it;
//   - a caller's conversation does not go back, or on as another one, unless that was reported: a pod counted a drop of it, or said that
//     it had nothing (cold);
//   - when faults are over and every pod was asked once, one owns the session, under a title that is not below any that a caller saw.
//
// It is for tests. It knows the rules and not how pods keep them, so it has its own idea of which title is the higher.
package history
