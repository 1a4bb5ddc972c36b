//go:build !unix

package browse

import "os/exec"

// A Ctrl-C reaches the console's programs alone, and the opener is none.
func detach(*exec.Cmd) {}
