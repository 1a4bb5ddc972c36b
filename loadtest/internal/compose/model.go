package compose

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/smaran-v2/smaran/services/endpoints"
)

// Services of the file that the driver knows by name. A pod's service is podPrefix and its number.
const (
	smaranService = "smaran"
	envoyService  = "envoy"
	redisService  = "redis"
	podPrefix     = endpoints.ClusterName + "-"
)

// Ports inside the containers, as the services and Envoy's configuration have them.
const (
	httpPort       = 8080
	adminPort      = 9090
	envoyAdminPort = 9091
)

// file is what `docker compose config` says of the file once its variables are filled in. Only what the driver needs is here.
type file struct {
	Name     string             `json:"name"`
	Services map[string]service `json:"services"`
	Networks map[string]struct {
		IPAM struct {
			Config []struct {
				Subnet netip.Prefix `json:"subnet"`
			} `json:"config"`
		} `json:"ipam"`
	} `json:"networks"`
}

type service struct {
	Image    string   `json:"image"`
	Profiles []string `json:"profiles"`
	Ports    []port   `json:"ports"`
	Networks map[string]struct {
		Address string `json:"ipv4_address"`
	} `json:"networks"`
}

type port struct {
	HostIP    string `json:"host_ip"`
	Target    uint16 `json:"target"`
	Published string `json:"published"`
	Protocol  string `json:"protocol"`
}

// host is where the port is reached on this machine, ip:port.
func (p port) host() string {
	ip, err := netip.ParseAddr(p.HostIP)
	if err != nil || ip.IsUnspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return net.JoinHostPort(ip.String(), p.Published)
}

// pod is one service of the file that is a pod.
type pod struct {
	// name is the service's, and the pod's own.
	name   string
	number int
	// address is ip:port on the project's network, as in Envoy's list.
	address string
	// admin is ip:port on this machine; empty where it is not published.
	admin string
}

// layout is where things are.
type layout struct {
	// beside are the services that run beside the pods.
	beside []string
	// pods in the order of their numbers.
	pods []pod
	// image is smaran's.
	image string
	// Addresses on this machine, ip:port.
	smaran, smaranAdmin, envoyAdmin string
}

// load reads the file with the variables in d.environ. It fails with ErrFile.
func (d *docker) load(ctx context.Context) (*file, error) {
	raw, err := d.compose(ctx, "--profile", "*", "config", "--format", "json")
	if err != nil {
		return nil, err
	}
	f := &file{}
	if err := json.Unmarshal(raw, f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return f, nil
}

// split tells the services that make up fleets from those that observe them: what has a profile and is no pod.
func (f *file) split() (fleet, observers []string) {
	for name, s := range f.Services {
		if len(s.Profiles) > 0 && !strings.HasPrefix(name, podPrefix) {
			observers = append(observers, name)
		} else {
			fleet = append(fleet, name)
		}
	}
	slices.Sort(fleet)
	return fleet, observers
}

// layout fails with ErrFile where something that the driver needs is missing.
func (f *file) layout() (*layout, error) {
	l := &layout{image: f.Services[smaranService].Image}
	for name, s := range f.Services {
		digits, isPod := strings.CutPrefix(name, podPrefix)
		number, err := strconv.Atoi(digits)
		if !isPod || err != nil {
			if len(s.Profiles) == 0 {
				l.beside = append(l.beside, name)
			}
			continue
		}
		address := s.address()
		if address == "" {
			return nil, fmt.Errorf("%w: service %s: expected a fixed ipv4_address", ErrFile, name)
		}
		admin, _ := f.host(name, adminPort)
		l.pods = append(l.pods, pod{name: name, number: number, address: net.JoinHostPort(address, strconv.Itoa(httpPort)), admin: admin})
	}
	slices.Sort(l.beside)
	slices.SortFunc(l.pods, func(a, b pod) int { return cmp.Compare(a.number, b.number) })
	if !slices.Contains(l.beside, redisService) {
		return nil, fmt.Errorf("%w: no service %s", ErrFile, redisService)
	}
	var err error
	if l.smaran, err = f.host(smaranService, httpPort); err != nil {
		return nil, err
	}
	if l.smaranAdmin, err = f.host(smaranService, adminPort); err != nil {
		return nil, err
	}
	if l.envoyAdmin, err = f.host(envoyService, envoyAdminPort); err != nil {
		return nil, err
	}
	return l, nil
}

// address is the service's fixed one on any network.
func (s service) address() string {
	for _, n := range s.Networks {
		if n.Address != "" {
			return n.Address
		}
	}
	return ""
}

// host is where a service's port is reached on this machine.
func (f *file) host(name string, target uint16) (string, error) {
	for _, p := range f.Services[name].Ports {
		if p.Target == target && p.Protocol != udp && p.Published != "" {
			return p.host(), nil
		}
	}
	return "", fmt.Errorf("%w: service %s: expected port %d to be published on this machine", ErrFile, name, target)
}
