//go:build !unix

package child

import "os/exec"

// OwnGroup does nothing here: a Ctrl-C reaches the child as well.
func OwnGroup(*exec.Cmd) {}

// End ends the child.
func End(cmd *exec.Cmd) error { return cmd.Process.Kill() }
