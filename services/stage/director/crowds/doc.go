// Package crowds is the stage's end of the crowds' streams: one crowd a lane, orders out, observations in.
//
// It keeps nothing of what crowds tell but the order that each is to have, and makes nothing of it.
package crowds
