//go:build unix && !linux

package proc

import (
	"os"
	"syscall"
)

func attributes(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// signal reaches the guard and the guarded alike.
func (p *Process) signal(s syscall.Signal) error { return syscall.Kill(-p.cmd.Process.Pid, s) }

// DefaultGuard is this program, called with GuardVerb.
func DefaultGuard() []string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{self, GuardVerb, "--"}
}
