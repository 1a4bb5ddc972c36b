package turn

import (
	"net"
	"net/netip"

	"github.com/smaran-v2/smaran/services/discovery"
)

// peers are those to whom media may go. A permission lasts five minutes (RFC 8656 section 9), so a pod that leaves may be sent to for that long
// yet: its callers hear the end of what it says.
type peers struct {
	own      netip.Addr
	networks []netip.Prefix
	pods     discovery.Source // nil without a list
}

func (p *peers) admits(ip net.IP) bool {
	addr, ok := netip.AddrFromSlice(ip)
	if !ok {
		return false
	}
	addr = addr.Unmap()
	// Not loopback, link-local, multicast, unspecified, nor the broadcast address, whatever the configuration says: what listens there
	// trusts the machine it is on. And not the relay itself, or callers could use it to reach each other.
	if !addr.IsGlobalUnicast() || addr == p.own {
		return false
	}
	for _, n := range p.networks {
		if n.Contains(addr) {
			return true
		}
	}
	return p.isPod(addr)
}

func (p *peers) isPod(addr netip.Addr) bool {
	if p.pods == nil {
		return false
	}
	for _, e := range p.pods.Current().Endpoints {
		if at, err := netip.ParseAddrPort(e.Address); err == nil && at.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}
