package jarvis

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/validate/content"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/jarvis/call"
	"github.com/smaran-v2/smaran/services/jarvis/model"
	"github.com/smaran-v2/smaran/services/session"
)

// EnvPrefix starts every variable that configures a pod.
const EnvPrefix = config.PrefixJarvis

// Config is a pod's environment, without EnvPrefix.
type Config struct {
	// Listen serves the API, AdminListen operators.
	Listen      string `env:"LISTEN" envDefault:":8080"`
	AdminListen string `env:"ADMIN_LISTEN" envDefault:":9090"`
	// Pod is the pod's name; empty is the host's, as Kubernetes sets it.
	Pod string `env:"POD"`
	// Address is the ip:port under which endpoints list the pod; empty is where it listens, which has to name an IP then.
	Address string `env:"ADDRESS"`
	// MediaListen is the one UDP socket of all calls. Its port must be reachable as it is: it is never mapped.
	MediaListen string `env:"MEDIA_LISTEN" envDefault:":40000"`
	// MediaAdvertise are addresses that replace the socket's own in candidates, separated by commas: a pod may be reached at one from here and at
	// another from there.
	MediaAdvertise []string `env:"MEDIA_ADVERTISE"`
	// ICELite is the agent's side of ICE; nil is call.DefaultICELite.
	ICELite *bool `env:"ICE_LITE"`

	WeightsMB int `env:"WEIGHTS_MB" envDefault:"500"`
	// Seed decides every simulated time; 0 picks one, which is logged.
	Seed            uint64        `env:"SEED"`
	SliceLoad       time.Duration `env:"SLICE_LOAD" envDefault:"500ms"`
	CacheRebuildMin time.Duration `env:"CACHE_REBUILD_MIN" envDefault:"250ms"`
	CacheRebuildMax time.Duration `env:"CACHE_REBUILD_MAX" envDefault:"300ms"`
	InferenceMean   time.Duration `env:"INFERENCE_MEAN" envDefault:"100ms"`
	InferenceSigma  float64       `env:"INFERENCE_SIGMA" envDefault:"0.03"`

	MaxSessions       int           `env:"MAX_SESSIONS" envDefault:"1000"`
	SessionIdle       time.Duration `env:"SESSION_IDLE" envDefault:"30m"`
	ResultsPerSession int           `env:"RESULTS_PER_SESSION" envDefault:"32"`
	MaxCalls          int           `env:"MAX_CALLS" envDefault:"200"`
	// DrainTimeout is how long calls may go on after SIGTERM.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"10s"`
	Heartbeat    time.Duration `env:"HEARTBEAT" envDefault:"250ms"`

	// RedisAddr is the host:port of the register of owners; empty is none.
	RedisAddr string `env:"REDIS_ADDR"`
	// RedisTTL is how long a session lives there that the pod writes down again after an outage: as long as after a claim of smaran,
	// whose variable of that name has to agree.
	RedisTTL time.Duration `env:"REDIS_TTL" envDefault:"30m"`

	// SessionStore is where conversations are kept besides, for a pod that hands sessions over: none, or redis (RedisAddr, for RedisTTL).
	SessionStore string `env:"SESSION_STORE" envDefault:"none"`
	// Endpoints is where the list of pods is (file://, dns:// or kubernetes://, see package discovery), for a pod that hands its sessions
	// over as the list changes; empty: it keeps what it has. Hash and RingSize are how the mesh hashes over it, PeersURL is scheme and
	// authority of its way to one pod; empty: the pod's own address.
	Endpoints discovery.Location `env:"ENDPOINTS"`
	Hash      affinity.Policy    `env:"HASH" envDefault:"ring"`
	RingSize  uint64             `env:"RING_SIZE" envDefault:"1024"`
	PeersURL  string             `env:"PEERS_URL"`
	// ReadinessGate is the type of the condition that keeps new pods out of rotation until sessions have been sent to them, as the pods'
	// readinessGates has it; empty: none. It needs the pods' Service as ENDPOINTS.
	ReadinessGate string `env:"READINESS_GATE"`

	SessionMode session.Policy `env:"SESSION_MODE" envDefault:"strict"`
	LogLevel    string         `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat   string         `env:"LOG_FORMAT" envDefault:"text"`
}

// The values of SessionStore.
const (
	storeNone  = "none"
	storeRedis = "redis"
)

// maxWeightsMB keeps a slip of the pen from asking for more than any machine has: 1 TiB.
const maxWeightsMB = 1 << 20

// Validate reports everything that is out of range, on one line.
func (c *Config) Validate() error {
	var wrong []string
	want := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	want(c.WeightsMB >= 0 && c.WeightsMB <= maxWeightsMB, "WEIGHTS_MB is %d, expected 0 to %d", c.WeightsMB, maxWeightsMB)
	want(c.MaxSessions > 0, "MAX_SESSIONS is %d, expected above 0", c.MaxSessions)
	want(c.SessionIdle > 0, "SESSION_IDLE is %v, expected above 0", c.SessionIdle)
	want(c.ResultsPerSession > 0, "RESULTS_PER_SESSION is %d, expected above 0", c.ResultsPerSession)
	want(c.MaxCalls > 0, "MAX_CALLS is %d, expected above 0", c.MaxCalls)
	want(c.DrainTimeout >= 0, "DRAIN_TIMEOUT is %v, expected 0 or more", c.DrainTimeout)
	want(c.Heartbeat > 0, "HEARTBEAT is %v, expected above 0", c.Heartbeat)
	want(c.RedisTTL >= time.Second, "REDIS_TTL is %v, expected 1s or more", c.RedisTTL)
	want(slices.Contains([]string{storeNone, storeRedis}, c.SessionStore), "SESSION_STORE is %q, expected %s or %s", c.SessionStore, storeNone, storeRedis)
	want(c.SessionStore != storeRedis || c.RedisAddr != "" && c.Handoff(), "SESSION_STORE is %s, which needs REDIS_ADDR and ENDPOINTS", c.SessionStore)
	want(c.RingSize > 0, "RING_SIZE is 0, expected 1 or more")
	want(config.IsBase(c.PeersURL), "PEERS_URL is %q, expected scheme and authority, such as http://jarvis-peers", c.PeersURL)
	if c.ReadinessGate != "" {
		wrong = append(wrong, c.wrongGate()...)
	}
	want(c.Address != "" || !c.Handoff(), "ADDRESS is empty, expected the pod's ip:port in the list that ENDPOINTS names")
	if c.Address != "" {
		_, err := netip.ParseAddrPort(c.Address)
		want(err == nil, "ADDRESS is %q, expected ip:port, such as 10.0.0.1:8080", c.Address)
	}
	if err := c.timings().Validate(); err != nil {
		wrong = append(wrong, err.Error())
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// wrongGate is what is wrong with a readiness gate: the API server takes what is a label's key too.
func (c *Config) wrongGate() (wrong []string) {
	if misspelled := content.IsLabelKey(c.ReadinessGate); len(misspelled) > 0 {
		wrong = append(wrong, fmt.Sprintf("READINESS_GATE is %q: %s", c.ReadinessGate, strings.Join(misspelled, ", ")))
	}
	if _, ok := c.Endpoints.Service(); !ok {
		wrong = append(wrong, fmt.Sprintf("READINESS_GATE is set and ENDPOINTS is %q, expected such as kubernetes://dev/jarvis-service?port=http", c.Endpoints))
	}
	return wrong
}

// Handoff is whether the pod hands its sessions over.
func (c *Config) Handoff() bool { return !c.Endpoints.IsZero() }

func (c *Config) timings() model.Timings {
	return model.Timings{
		SliceLoad:       c.SliceLoad,
		CacheRebuildMin: c.CacheRebuildMin, CacheRebuildMax: c.CacheRebuildMax,
		InferenceMean: c.InferenceMean, InferenceSigma: c.InferenceSigma,
	}
}

func (c *Config) iceLite() bool {
	if c.ICELite != nil {
		return *c.ICELite
	}
	return call.DefaultICELite
}
