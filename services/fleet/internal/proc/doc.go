// Package proc starts child processes that cannot outlive the process that started them, signals them, and keeps what they
// print. It starts nothing anew and judges no exit: that is the caller's.
//
// Three things tie a child to its parent. On Linux the kernel kills it when the parent's thread that forked it ends
// (Pdeathsig), so one goroutine, locked to its thread, forks all of them. Everywhere a child that knows package
// lifeline ends when its pipe is cut. And a program that knows nothing of it runs under a Guard where there is no
// Pdeathsig.
package proc
