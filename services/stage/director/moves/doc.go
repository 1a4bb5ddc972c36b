// Package moves says what each event did to the sessions of one lane, while it goes on.
//
// A session is observed across an event once it has an answer from before and one whose request was sent after it began; it has moved while the
// last such answer came from another address than the last one before. A pod that is restarted under its address is the same. What is seen
// from one event's start to the next one's is the former's. Unlike a report (docs/measurement.md) it waits for nothing to settle: a session
// that is on its way back counts until it is there.
//
// Times count from the opening of the scene, and may come late and in any order. It reads no clock.
package moves
