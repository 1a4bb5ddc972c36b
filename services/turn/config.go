package turn

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/internal/config"
)

// EnvPrefix starts every variable that configures the relay.
const EnvPrefix = config.PrefixTurn

// Config is the relay's environment, without EnvPrefix.
type Config struct {
	// Listen is the one port, UDP and TCP; AdminListen is for operators.
	Listen      string `env:"LISTEN" envDefault:":3478"`
	AdminListen string `env:"ADMIN_LISTEN" envDefault:":9090"`

	// Secret is shared with who mints credentials. A new one ends what was minted with the old.
	Secret string `env:"SECRET,required"`
	Realm  string `env:"REALM" envDefault:"smaran"`

	// RelayAddress is this machine's address that pods see, of the family that theirs is of. RelayPorts are used on it, one an allocation.
	RelayAddress netip.Addr `env:"RELAY_ADDRESS,required"`
	RelayPorts   Ports      `env:"RELAY_PORTS" envDefault:"49152-65535"`

	// Peers and Endpoints say to whom media may go: networks, separated by commas, and a list of pods that is followed (see package
	// discovery). At least one is needed; an address in either will do. None is ever one of this machine's loopback, a link-local one, a
	// multicast group, or the relay's own.
	Peers     []netip.Prefix     `env:"PEERS"`
	Endpoints discovery.Location `env:"ENDPOINTS"`

	// MaxAllocations bounds what there is at once, MaxPerUser what one user holds: a browser makes one for each of its networks and each
	// URL, and twice that while a call moves.
	MaxAllocations int `env:"MAX_ALLOCATIONS" envDefault:"1000"`
	MaxPerUser     int `env:"MAX_PER_USER" envDefault:"16"`
	// MaxConnections bounds TCP connections, those of nobody yet included.
	MaxConnections int `env:"MAX_CONNECTIONS" envDefault:"1000"`
	// Lifetime is an allocation's unless the client asks for another, which is an hour at most. A TCP connection that is silent for it is closed.
	Lifetime time.Duration `env:"LIFETIME" envDefault:"10m"`
	// Bandwidth is what an allocation may carry each way, in bytes a second, and that much at once; more is dropped. 0 is no bound. A call
	// needs 10,000.
	Bandwidth int `env:"BANDWIDTH" envDefault:"125000"`

	// ShutdownGrace is how long allocations may go on after SIGTERM. New ones are refused from then on.
	ShutdownGrace time.Duration `env:"SHUTDOWN_GRACE" envDefault:"10s"`
	LogLevel      string        `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat     string        `env:"LOG_FORMAT" envDefault:"text"`
}

// Ports are consecutive ones, both ends included.
type Ports struct{ First, Last uint16 }

// UnmarshalText reads first-last.
func (p *Ports) UnmarshalText(text []byte) error {
	first, last, found := strings.Cut(string(text), "-")
	from, err := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	if !found || err != nil || err2 != nil || from == 0 || to < from {
		return fmt.Errorf("%q are no ports, expected such as 49152-65535", text)
	}
	p.First, p.Last = uint16(from), uint16(to)
	return nil
}

// minSecret is the shortest secret that is taken, in bytes. An attacker can try guesses against one credential offline.
const minSecret = 16

// Validate reports everything that is out of range, by the variables' names without the prefix.
func (c *Config) Validate() error {
	var wrong []string
	want := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	want(len(c.Secret) >= minSecret, "SECRET has %d bytes, expected %d or more", len(c.Secret), minSecret)
	want(c.Realm != "", "REALM is empty")
	want(!c.RelayAddress.IsUnspecified() && c.RelayAddress.Zone() == "", "RELAY_ADDRESS is %s, expected one address", c.RelayAddress)
	want(len(c.Peers) > 0 || !c.Endpoints.IsZero(), "neither PEERS nor ENDPOINTS is set: expected networks, or a list of pods")
	want(c.MaxAllocations > 0, "MAX_ALLOCATIONS is %d, expected 1 or more", c.MaxAllocations)
	want(c.MaxPerUser > 0, "MAX_PER_USER is %d, expected 1 or more", c.MaxPerUser)
	want(c.MaxConnections > 0, "MAX_CONNECTIONS is %d, expected 1 or more", c.MaxConnections)
	want(c.Lifetime >= time.Second && c.Lifetime <= time.Hour, "LIFETIME is %v, expected 1s to 1h", c.Lifetime)
	want(c.Bandwidth == 0 || c.Bandwidth >= maxPacket, "BANDWIDTH is %d, expected 0, or %d or more", c.Bandwidth, maxPacket)
	want(c.ShutdownGrace >= 0, "SHUTDOWN_GRACE is %v, expected 0 or more", c.ShutdownGrace)
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// maxPacket is the largest that pion/turn takes or gives, in bytes.
const maxPacket = 1600
