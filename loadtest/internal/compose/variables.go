package compose

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"

	"github.com/smaran-v2/smaran/loadtest/internal/driver"
	"github.com/smaran-v2/smaran/services/smaran/token"
)

// Variables of docker-compose.yaml that the driver sets; what each means stands there. All others are the user's.
const (
	varBackend     = "SMARAN_BACKEND"
	varPolicy      = "SMARAN_MESH_POLICY"
	varSessionMode = "SMARAN_SESSION_MODE"
	varSeed        = "SMARAN_SEED"
	varTokenKeys   = "SMARAN_TOKEN_KEYS"
	varDrain       = "JARVIS_DRAIN_TIMEOUT"
	varStore       = "JARVIS_SESSION_STORE"

	varSmaranPort      = "SMARAN_PORT"
	varSmaranAdminPort = "SMARAN_ADMIN_PORT"
	varEnvoyAdminPort  = "ENVOY_ADMIN_PORT"
	varHostAddress     = "HOST_ADDRESS"
	varAdminAddress    = "ADMIN_ADDRESS"
	varSubnet          = "SUBNET"
)

// noStore is the file's default for varStore.
const noStore = "none"

// variables are what the spec asks of the file. The key seals tokens for as long as the fleet lives, also where smaran is killed.
func variables(s driver.Spec) []string {
	name, _ := driver.SplitBackend(s.Backend)
	key := token.RandomKey(Name)
	return []string{
		varBackend + "=" + name,
		varPolicy + "=" + string(meshPolicy(s)),
		varSessionMode + "=" + string(s.SessionMode()),
		varSeed + "=" + strconv.FormatUint(s.Seed, 10),
		varTokenKeys + "=" + key.ID + ":" + base64.StdEncoding.EncodeToString(key.Secret),
		varDrain + "=" + s.DrainTime().String(),
		varStore + "=" + sessionStore(s),
	}
}

// sessionStore is none for pods that could not use one.
func sessionStore(s driver.Spec) string {
	if s.HandsOver() {
		return cmp.Or(s.SessionStore, noStore)
	}
	return noStore
}

// spot is a place on this machine. Each part counts up from where the file, or the user's environment, has it.
type spot struct{ ports, address, subnet int }

// usual is the spot that counts begin from; what the file does not publish is not in it.
type usual struct {
	ports     map[string]uint16
	addresses map[string]netip.Addr
	subnet    netip.Prefix
}

// usual is read from the file as it is without a variable of the driver's own.
func (f *file) usual() usual {
	u := usual{ports: map[string]uint16{}, addresses: map[string]netip.Addr{}}
	for _, p := range []struct {
		service       string
		target        uint16
		port, address string
	}{
		{smaranService, httpPort, varSmaranPort, varHostAddress}, {smaranService, adminPort, varSmaranAdminPort, varAdminAddress},
		{envoyService, envoyAdminPort, varEnvoyAdminPort, varAdminAddress},
	} {
		host, err := f.host(p.service, p.target)
		if err != nil {
			continue
		}
		if at, err := netip.ParseAddrPort(host); err == nil {
			u.ports[p.port], u.addresses[p.address] = at.Port(), at.Addr()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Networks)) {
		for _, c := range f.Networks[name].IPAM.Config {
			if c.Subnet.Addr().Is4() && !u.subnet.IsValid() {
				u.subnet = c.Subnet
			}
		}
	}
	return u
}

// variables are those that move a project there; none for the parts that stay.
func (s spot) variables(from usual) []string {
	var out []string
	if s.ports > 0 {
		for name, port := range from.ports {
			out = append(out, fmt.Sprintf("%s=%d", name, shifted(port, 100*s.ports))) // the pods' admin ports follow the others'
		}
	}
	if s.address > 0 { // the pods' ports are fixed
		for name, address := range from.addresses {
			for range s.address {
				address = address.Next()
			}
			out = append(out, name+"="+address.String())
		}
	}
	if s.subnet > 0 && from.subnet.IsValid() {
		// The variable is the first three numbers of a /24.
		ip := from.subnet.Addr().As4()
		binary.BigEndian.PutUint32(ip[:], binary.BigEndian.Uint32(ip[:])+uint32(s.subnet)<<8)
		out = append(out, fmt.Sprintf("%s=%d.%d.%d", varSubnet, ip[0], ip[1], ip[2]))
	}
	return out
}

// shifted is a port further on; after the last one it goes on among those that need no rights.
func shifted(port uint16, by int) int {
	next := int(port) + by
	if next > math.MaxUint16 {
		next -= math.MaxUint16 - 1024
	}
	return next
}
