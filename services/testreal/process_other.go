//go:build !linux

package testreal

import "os/exec"

// dieWithParent does nothing where the kernel has no such thing; the test's cleanups end the program.
func dieWithParent(*exec.Cmd) {}
