package testreal

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the program if the test process dies before its cleanups ran, as on a time-out.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
