//go:build unix

package upstream

import (
	"net"
	"syscall"
)

// probe looks at a kept connection without waiting, which a goroutine that reads each of them would do at a higher price.
type probe struct {
	raw   syscall.RawConn
	peek  func(fd uintptr) bool
	empty bool
}

func (p *probe) init(c net.Conn) {
	if s, ok := c.(syscall.Conn); ok {
		p.raw, _ = s.SyscallConn() // nil counts as closed
	}
	// Made once: a closure for each look would be an allocation for each request.
	p.peek = func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		p.empty = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	}
}

// alive is whether the connection is open and has nothing to read.
func (p *probe) alive() bool {
	if p.raw == nil || p.raw.Read(p.peek) != nil {
		return false
	}
	return p.empty
}
