// Package watch asks a lane's fleet and its smaran what there is, again and again: never twice at a time, each time for a bounded while, and the
// less often the longer they take to answer.
//
// It hands on what it was told, and makes nothing of it.
package watch
