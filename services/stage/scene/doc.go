// Package scene holds what a stage shows now, and says what changed since a version of it.
//
// Who produces it writes as often as it likes; each reader asks at its own pace, and gets the last state of each thing that changed since it
// asked before, once. So a slow reader costs memory for nothing but the things themselves, and one that comes back after a while is
// brought up to date by one frame. It computes nothing, and knows no page, no recording and no fleet.
package scene
