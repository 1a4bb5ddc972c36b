// Package overlay makes a namespace what a rendered overlay says, and later what it was before.
//
// Objects are replaced, not merged: an applied overlay would leave behind what the one before had set and this one does not mention,
// such as a label that turns stateful sessions on, or a second load balancer beside the first. What was found is kept in a Secret in the
// namespace itself, so that it is also put back by the next program where this one was killed.
package overlay
