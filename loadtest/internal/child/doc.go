// Package child holds what drivers need of the programs that they run: a process group of their own, and their last words. It
// starts none itself.
package child
