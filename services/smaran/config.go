package smaran

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/backend"
	"github.com/smaran-v2/smaran/services/smaran/token"
)

// EnvPrefix starts every variable that configures smaran.
const EnvPrefix = config.PrefixSmaran

// Config is smaran's environment, without EnvPrefix.
type Config struct {
	// Listen serves the public API, AdminListen operators.
	Listen      string `env:"LISTEN" envDefault:":8080"`
	AdminListen string `env:"ADMIN_LISTEN" envDefault:":9090"`
	// PublicURL is scheme and authority under which clients reach Listen, where it is known. It is only shown, at the start.
	PublicURL string `env:"PUBLIC_URL"`

	// Backend chooses the pods. A request may name another in x-smaran-backend if AllowBackendOverride.
	Backend              backend.Name `env:"BACKEND" envDefault:"istio-hash"`
	AllowBackendOverride bool         `env:"ALLOW_BACKEND_OVERRIDE" envDefault:"false"`

	// Endpoints is where the list of pods is: file://, dns:// or kubernetes://, see package discovery. It is followed.
	Endpoints discovery.Location `env:"ENDPOINTS,required"`
	// PeersURL is scheme and authority of the mesh's way to one pod, which the cookie wire.CookiePeer names. Empty: at the pod's own
	// address.
	PeersURL string `env:"PEERS_URL"`

	// MeshURL is scheme and authority of the mesh, for istio-hash and stateful-*.
	MeshURL string `env:"MESH_URL"`
	// MeshPolicy is the mesh's: a backend that needs another is unavailable. RingSize is its ring's minimum_ring_size.
	MeshPolicy mesh.Policy `env:"MESH_POLICY" envDefault:"ring"`
	RingSize   uint64      `env:"RING_SIZE" envDefault:"1024"`

	// RedisAddr is host:port, for redis and redis-plain.
	RedisAddr string `env:"REDIS_ADDR"`
	// RedisTTL is how long a session's entry lives: after its last claim for redis, after it was written for redis-plain.
	RedisTTL time.Duration `env:"REDIS_TTL" envDefault:"30m"`
	// RedisTimeout is how long a request waits for Redis.
	RedisTimeout time.Duration `env:"REDIS_TIMEOUT" envDefault:"50ms"`
	// RedisCache is how long the redis backend uses an owner without asking again; 0 asks each time. RedisStale is how long it
	// does during an outage.
	RedisCache time.Duration `env:"REDIS_CACHE" envDefault:"1s"`
	RedisStale time.Duration `env:"REDIS_STALE" envDefault:"10m"`

	// TokenKeys are "id:base64,…", 32 bytes each; the first seals, all open. Empty is a random one, which ends with the process.
	TokenKeys string        `env:"TOKEN_KEYS"`
	TokenTTL  time.Duration `env:"TOKEN_TTL" envDefault:"1h"`

	// TurnURLs are where callers find the relay, such as turn:127.0.0.1:3478?transport=udp, separated by commas; none says that pods are
	// reached directly. TurnSecret is the relay's, and TurnTTL how long what it lets in with it lives.
	TurnURLs   []string      `env:"TURN_URLS"`
	TurnSecret string        `env:"TURN_SECRET"`
	TurnTTL    time.Duration `env:"TURN_TTL" envDefault:"1h"`

	// RequestTimeout bounds a request. Event streams have no bound.
	RequestTimeout time.Duration `env:"REQUEST_TIMEOUT" envDefault:"300s"`
	// MaxBody bounds a request's body, in bytes.
	MaxBody int64 `env:"MAX_BODY" envDefault:"1048576"`
	// ShutdownGrace is how long requests may go on after SIGTERM.
	ShutdownGrace time.Duration `env:"SHUTDOWN_GRACE" envDefault:"5s"`
	// CORSOrigins may call from a browser, separated by commas. "*" is any, without cookies; "none" is none, as an empty variable
	// is the default.
	CORSOrigins []string `env:"CORS_ORIGINS" envDefault:"*"`

	SessionMode session.Policy `env:"SESSION_MODE" envDefault:"strict"`
	// Seed decides every random draw; 0 picks one, which is logged.
	Seed      uint64 `env:"SEED" envDefault:"0"`
	LogLevel  string `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat string `env:"LOG_FORMAT" envDefault:"text"`
}

// Validate reports everything that is out of range, by the variables' names without the prefix.
func (c *Config) Validate() error {
	var wrong []string
	want := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	want(config.IsBase(c.PublicURL), "PUBLIC_URL is %q, expected scheme and authority, such as http://127.0.0.1:8080", c.PublicURL)
	want(config.IsBase(c.MeshURL), "MESH_URL is %q, expected scheme and authority, such as http://127.0.0.1:15001", c.MeshURL)
	want(config.IsBase(c.PeersURL), "PEERS_URL is %q, expected scheme and authority, such as http://jarvis-peers", c.PeersURL)
	want(slices.Contains(mesh.Policies(), c.MeshPolicy), "MESH_POLICY is %q, expected one of %v", c.MeshPolicy, mesh.Policies())
	want(c.RingSize > 0, "RING_SIZE is 0, expected 1 or more")
	want(c.RedisTTL >= time.Second, "REDIS_TTL is %v, expected 1s or more", c.RedisTTL)
	want(c.RedisTimeout > 0, "REDIS_TIMEOUT is %v, expected above 0", c.RedisTimeout)
	want(c.RedisCache >= 0, "REDIS_CACHE is %v, expected 0 or more", c.RedisCache)
	want(c.RedisStale >= 0, "REDIS_STALE is %v, expected 0 or more", c.RedisStale)
	want(c.TokenTTL >= time.Second, "TOKEN_TTL is %v, expected 1s or more", c.TokenTTL)
	want(c.RequestTimeout >= 0, "REQUEST_TIMEOUT is %v, expected 0 or more", c.RequestTimeout)
	want(c.MaxBody > 0 && c.MaxBody <= maxMaxBody, "MAX_BODY is %d, expected 1 to %d", c.MaxBody, maxMaxBody)
	want(c.ShutdownGrace >= 0, "SHUTDOWN_GRACE is %v, expected 0 or more", c.ShutdownGrace)
	_, err := token.ParseKeys(c.TokenKeys)
	want(err == nil, "TOKEN_KEYS: %v", err)
	for _, u := range c.TurnURLs {
		want(isTurn(u), "TURN_URLS has %q, expected such as turn:127.0.0.1:3478?transport=udp", u)
	}
	want(len(c.TurnURLs) == 0 || c.TurnSecret != "", "TURN_URLS is set without TURN_SECRET, which is the relay's")
	want(c.TurnTTL >= time.Second, "TURN_TTL is %v, expected 1s or more", c.TurnTTL)
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// isTurn is whether s is a URL of RFC 7065 with a port.
func isTurn(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "turn" && u.Scheme != "turns" || u.Fragment != "" {
		return false
	}
	host, port, err := net.SplitHostPort(u.Opaque)
	return err == nil && host != "" && port != "" && slices.Contains([]string{"", "transport=udp", "transport=tcp"}, u.RawQuery)
}

// noOrigins is the value of CORSOrigins for none.
const noOrigins = "none"

func (c *Config) origins() []string {
	if len(c.CORSOrigins) == 1 && c.CORSOrigins[0] == noOrigins {
		return nil
	}
	return c.CORSOrigins
}

// maxMaxBody keeps one request from taking all memory: 1 GiB.
const maxMaxBody = 1 << 30
