package proc

import "syscall"

func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// signal goes through a pidfd, so that it can't hit another process that was given the same id.
func (p *Process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// DefaultGuard is empty where the kernel ends foreign programs with their parent.
func DefaultGuard() []string { return nil }
