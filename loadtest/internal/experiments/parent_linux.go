package experiments

import (
	"os/exec"
	"syscall"
)

// endWithParent lets the kernel end the child when this process is killed without having a say.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
