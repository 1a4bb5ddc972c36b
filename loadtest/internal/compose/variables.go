package compose

import (
	"encoding/base64"
	"fmt"
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

	varSmaranPort      = "SMARAN_PORT"
	varSmaranAdminPort = "SMARAN_ADMIN_PORT"
	varEnvoyAdminPort  = "ENVOY_ADMIN_PORT"
	varHostAddress     = "HOST_ADDRESS"
	varAdminAddress    = "ADMIN_ADDRESS"
	varSubnet          = "SUBNET"
)

// variables are what the spec asks of the file. The key seals tokens for as long as the fleet lives, also where smaran is killed.
func variables(s driver.Spec) []string {
	name, _ := driver.SplitBackend(s.Backend)
	key := token.RandomKey(Name)
	return []string{
		varBackend + "=" + name,
		varPolicy + "=" + string(meshPolicy(s)),
		varSessionMode + "=" + string(sessionMode(s)),
		varSeed + "=" + strconv.FormatUint(s.Seed, 10),
		varTokenKeys + "=" + key.ID + ":" + base64.StdEncoding.EncodeToString(key.Secret),
		varDrain + "=" + driver.DrainTimeout.String(),
	}
}

// spot is a place on this machine. Each part counts up from what the file, or the user's environment, says.
type spot struct{ ports, address, subnet int }

// variables are those that move a project there; none for the parts that stay.
func (s spot) variables() []string {
	var out []string
	if s.ports > 0 {
		shift := 100 * s.ports // the pods' admin ports follow the others'
		for name, usual := range map[string]int{varSmaranPort: 8080, varSmaranAdminPort: 9090, varEnvoyAdminPort: 9091} {
			out = append(out, fmt.Sprintf("%s=%d", name, usual+shift))
		}
	}
	if s.address > 0 { // the pods' ports are fixed
		address := fmt.Sprintf("127.0.0.%d", 1+s.address)
		out = append(out, varHostAddress+"="+address, varAdminAddress+"="+address)
	}
	if s.subnet > 0 {
		out = append(out, fmt.Sprintf("%s=10.231.%d", varSubnet, 77+s.subnet))
	}
	return out
}
