//go:build unix

package testreal

import (
	"os"
	"syscall"
)

// terminate asks the program to end. Failing means that it ended already.
func terminate(p *os.Process) { _ = p.Signal(syscall.SIGTERM) }
