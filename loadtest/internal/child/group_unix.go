//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

// OwnGroup keeps a terminal's Ctrl-C from the child: this process ends it, once it has measured what it can.
func OwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// End asks a child with a group of its own to end, and all that it started.
func End(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
