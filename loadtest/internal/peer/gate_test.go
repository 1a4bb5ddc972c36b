package peer_test

import (
	"net"
	"sync/atomic"

	"github.com/smaran-v2/smaran/services/jarvis/call"
)

// gate is a pod's socket that can be shut, as a killed or frozen pod's is: what it sends is lost, and what it gets is not
// read. Closing the agent's end instead would send DTLS' goodbye, which a killed pod does not.
type gate struct {
	*net.UDPConn
	shut atomic.Bool
	// lost is how many packets of the pod were.
	lost atomic.Int64
}

// ungated gives a pod the socket as it is, as a real one has it: pion then reads and writes without allocating.
func ungated(c *call.Config) { c.Media = c.Media.(*gate).UDPConn }

func (g *gate) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := g.UDPConn.ReadFrom(b)
		if err != nil || !g.shut.Load() {
			return n, from, err
		}
	}
}

func (g *gate) WriteTo(b []byte, to net.Addr) (int, error) {
	if g.shut.Load() {
		g.lost.Add(1)
		return len(b), nil
	}
	return g.UDPConn.WriteTo(b, to)
}
