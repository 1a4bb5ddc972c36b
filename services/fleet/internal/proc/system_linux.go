package proc

import "syscall"

// A guard is not killed with its parent: it has to end its program first.
func attributes(guarded bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if !guarded {
		a.Pdeathsig = syscall.SIGKILL
	}
	return a
}

// signal goes through a pidfd, so that it can't hit another process that was given the same id.
func (p *Process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// DefaultGuard is empty where the kernel ends foreign programs with their parent.
func DefaultGuard() []string { return nil }
