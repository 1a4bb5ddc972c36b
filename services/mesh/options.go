package mesh

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/wire"
)

// ErrOptions is returned for options that contradict each other or that Envoy would refuse, wrapped with what was
// expected.
var ErrOptions = errors.New("mesh: invalid options")

// Options are the flags of the program. Start from Defaults.
type Options struct {
	Listen    string `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Where clients connect: HTTP/1.1 and h2c (${default})."`
	Admin     string `default:"127.0.0.1:9091" placeholder:"HOST:PORT" help:"Health, metrics and profiles (${default})."`
	Endpoints string `required:"" placeholder:"FILE" help:"The pods: an EDS DiscoveryResponse in JSON, followed when it is replaced by rename."`
	Policy    Policy `required:"" enum:"${policies}" help:"How a pod is chosen: ${enum}."`

	RingSize  uint64 `default:"${ringSize}" help:"Least entries on the ring."`
	TableSize uint64 `default:"${tableSize}" help:"Entries of Maglev's table, a prime."`
	// SessionHeader is hashed by ring and maglev; a request without it goes to a random pod.
	SessionHeader string `default:"${sessionHeader}" help:"The header that ring and maglev hash."`
	// CookieTTL is 0 in what Istio emits: a session cookie that never expires.
	CookieTTL time.Duration `default:"0s" help:"How long the cookie of stateful-cookie lasts, in whole seconds; 0 for as long as the browser runs."`

	// RetryHost is "" for what Istio does behind a VirtualService: same for a hash, other otherwise.
	RetryHost RetryHost `enum:"other,same," default:"" help:"Where a failed connection is retried: other or same (same for ring and maglev, else other)."`
	Retries   uint32    `default:"2" help:"How often a failed connection is retried."`

	ConnectTimeout time.Duration `default:"10s" help:"How long a connection may take."`
	// Timeout runs from the request's last byte to the response's last, over all tries, as a route's timeout does.
	Timeout time.Duration `default:"300s" help:"How long a response may take to its end once the request is complete; 0 for ever."`
	// StreamTimeout takes the place of Timeout for requests that announce a stream: see IsStream.
	StreamTimeout time.Duration `default:"0s" help:"The same for event streams, gRPC and Connect streams; 0 for ever."`
	ShutdownGrace time.Duration `default:"5s" help:"How long requests in flight may take at the end."`

	Seed      uint64 `default:"0" help:"Makes random choices repeat; 0 for a seed of its own."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"${enum}."`
	LogFormat string `default:"text" enum:"text,json" help:"${enum}."`
}

// RetryHost says where a failed connection is retried.
type RetryHost string

// Where Istio retries. RetryOther is its default: a host that was tried is refused up to five times in a row, then
// taken. RetrySame is its choice for a consistent hash behind a VirtualService with one destination: the balancer is
// asked again, and the hash names the same host until the endpoints change.
const (
	RetryOther RetryHost = "other"
	RetrySame  RetryHost = "same"
)

// Defaults are the options of a mesh that was told nothing but its endpoints file and its policy. It fails as Check does.
func Defaults(endpoints string, policy Policy) (Options, error) {
	return Parse([]string{"--endpoints=" + endpoints, "--policy=" + string(policy)}, nil, io.Discard)
}

// Check fails with ErrOptions.
func (o *Options) Check() error {
	if !o.Policy.valid() {
		return fmt.Errorf("%w: policy %q, want one of %s", ErrOptions, o.Policy, joinPolicies())
	}
	if o.Endpoints == "" {
		return fmt.Errorf("%w: no endpoints file, want the path of one", ErrOptions)
	}
	for name, addr := range map[string]string{"listen": o.Listen, "admin": o.Admin} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%w: %s %q, want host:port: %w", ErrOptions, name, addr, err)
		}
	}
	if o.RetryHost != "" && o.RetryHost != RetryOther && o.RetryHost != RetrySame {
		return fmt.Errorf("%w: retry host %q, want %s or %s", ErrOptions, o.RetryHost, RetryOther, RetrySame)
	}
	for name, d := range map[string]time.Duration{"timeout": o.Timeout, "stream timeout": o.StreamTimeout,
		"cookie ttl": o.CookieTTL, "shutdown grace": o.ShutdownGrace} {
		if d < 0 {
			return fmt.Errorf("%w: %s %s, want at least 0", ErrOptions, name, d)
		}
	}
	if o.ConnectTimeout <= 0 {
		return fmt.Errorf("%w: connect timeout %s, want more than 0", ErrOptions, o.ConnectTimeout)
	}
	if o.SessionHeader == "" {
		return fmt.Errorf("%w: no session header, want a name such as %s", ErrOptions, session.Header)
	}
	if algorithm, hashed := o.Policy.Algorithm(); hashed {
		if _, err := affinity.New(algorithm, nil, o.Table()); err != nil {
			return fmt.Errorf("%w: %w", ErrOptions, err)
		}
	}
	return nil
}

// Table is the size of what Policy hashes over.
func (o Options) Table() affinity.Options {
	return affinity.Options{MinRingSize: o.RingSize, TableSize: o.TableSize}
}

// RetriesSame is whether a failed connection may be retried on the host that failed.
func (o Options) RetriesSame() bool {
	if o.RetryHost == "" {
		_, hashed := o.Policy.Algorithm()
		return hashed
	}
	return o.RetryHost == RetrySame
}

// Names of the stateful sessions, and the path that Istio gives the cookie.
const (
	StatefulHeader = wire.HeaderStateful
	StatefulCookie = wire.CookieStateful
	CookiePath     = "/"
)
