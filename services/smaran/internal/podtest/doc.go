// Package podtest is pods and a mesh for tests of the coordinator: real servers on loopback that speak jarvis.v1, hold sessions and
// calls as a pod does, and nothing of what costs a pod time. It is no model of a pod's speed or media.
package podtest
