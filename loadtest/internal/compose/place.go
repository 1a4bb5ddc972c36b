package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
)

// places is how many are tried before the driver gives up.
const places = 20

// place finds ports, addresses and a network that nobody uses, and returns the file with them. The usual ones are taken where they
// are free, so that the pods' addresses, and with them the rings, are the same run after run. It fails with ErrRunning, ErrTaken or
// ErrFile.
func (d *docker) place(ctx context.Context, s driver.Spec) (*file, error) {
	own := append(slices.Clone(d.environ), variables(s)...)
	var at spot
	var from usual
	var taken []string
	for range places {
		d.environ = append(slices.Clone(own), at.variables(from)...)
		f, err := d.load(ctx)
		if err != nil {
			return nil, err
		}
		if d.project == "" {
			d.project = f.Name
		}
		if at == (spot{}) {
			from = f.usual()
			d.services, d.observers = f.split()
			if err := d.vacant(ctx); err != nil {
				return nil, err
			}
		}
		next, why, err := d.elsewhere(ctx, f, at)
		if err != nil {
			return nil, err
		}
		if len(why) == 0 {
			return f, nil
		}
		at, taken = next, why
	}
	return nil, fmt.Errorf("%w: after %d tries still: %s", ErrTaken, places, strings.Join(taken, ", "))
}

// elsewhere is where to look next if something that the file wants is taken, with what that is.
func (d *docker) elsewhere(ctx context.Context, f *file, at spot) (next spot, taken []string, err error) {
	next = at
	for _, name := range d.services {
		for _, p := range f.Services[name].Ports {
			if err := p.free(ctx); err == nil {
				continue
			}
			taken = append(taken, p.host()+"/"+p.Protocol)
			if strings.HasPrefix(name, podPrefix) {
				next.address = at.address + 1
			} else {
				next.ports = at.ports + 1
			}
		}
	}
	used, err := d.subnets(ctx)
	if err != nil {
		return at, nil, err
	}
	for _, n := range f.Networks {
		for _, c := range n.IPAM.Config {
			if slices.ContainsFunc(used, c.Subnet.Overlaps) {
				taken = append(taken, "network "+c.Subnet.String())
				next.subnet = at.subnet + 1
			}
		}
	}
	return next, taken, nil
}

// udp is a port's protocol.
const udp = "udp"

// free fails where this machine's port is in use, or its address is not there.
func (p port) free(ctx context.Context) error {
	var config net.ListenConfig
	if p.Protocol == udp {
		c, err := config.ListenPacket(ctx, udp, p.host())
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := config.Listen(ctx, "tcp", p.host())
	if err != nil {
		return err
	}
	return l.Close()
}

// subnets are those of the engine's networks, the project's own left out.
func (d *docker) subnets(ctx context.Context) ([]netip.Prefix, error) {
	ids, err := d.run(ctx, "network", "ls", "--quiet")
	if err != nil {
		return nil, err
	}
	list := strings.Fields(string(ids))
	if len(list) == 0 {
		return nil, nil
	}
	raw, err := d.run(ctx, append([]string{"network", "inspect"}, list...)...)
	if err != nil {
		return nil, err
	}
	var networks []struct {
		Labels map[string]string
		IPAM   struct{ Config []struct{ Subnet string } }
	}
	if err := json.Unmarshal(raw, &networks); err != nil {
		return nil, fmt.Errorf("%w: docker network inspect: %w", ErrCommand, err)
	}
	var out []netip.Prefix
	for _, n := range networks {
		if n.Labels[projectLabel] == d.project {
			continue // it is there only where somebody observes
		}
		for _, c := range n.IPAM.Config {
			if p, err := netip.ParsePrefix(c.Subnet); err == nil {
				out = append(out, p)
			}
		}
	}
	return out, nil
}
