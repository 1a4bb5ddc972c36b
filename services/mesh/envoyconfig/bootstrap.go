// Package envoyconfig renders the bootstrap of an Envoy that does what package mesh does with the same options, over the
// same endpoints file or over the addresses of a name. It is what Istio would send a sidecar for the story's Service,
// DestinationRule and VirtualService, less TLS and telemetry.
//
// It starts no Envoy. Give Envoy --concurrency 1 where picks by round robin or least requests are compared: its workers
// balance each on their own.
package envoyconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/smaran-v2/smaran/services/discovery/dns"
	"github.com/smaran-v2/smaran/services/mesh"
)

// Listener is the name of the only listener.
const Listener = "mesh"

// Bootstrap renders o in JSON, for envoy --config-path. An empty Admin leaves the admin interface out. It fails with
// mesh.ErrOptions.
//
// Seed, ShutdownGrace, LogLevel and LogFormat have no part in it: they are Envoy's command line or not there.
func Bootstrap(o mesh.Options) ([]byte, error) {
	file, err := filepath.Abs(o.Endpoints)
	if err != nil {
		return nil, fmt.Errorf("%w: endpoints file: %w", mesh.ErrOptions, err)
	}
	return render(o, fromFile{path: file})
}

// BootstrapDNS is Bootstrap for pods that are the addresses of a name, seen as package dns sees them; o.Endpoints has no part in it.
func BootstrapDNS(o mesh.Options, pods dns.Name) ([]byte, error) {
	o.Endpoints = pods.Host
	return render(o, fromDNS{name: pods})
}

func render(o mesh.Options, pods source) ([]byte, error) {
	checked := o
	if checked.Admin == "" {
		checked.Admin = o.Listen
	}
	if err := checked.Check(); err != nil {
		return nil, err
	}
	r := renderer{options: o, pods: pods}
	return r.bootstrap()
}

// renderer keeps the first error, so that building a tree of messages reads as one.
type renderer struct {
	options mesh.Options
	pods    source
	err     error
}

func (r *renderer) bootstrap() ([]byte, error) {
	b := &bootstrapv3.Bootstrap{
		Node: &corev3.Node{Id: Listener, Cluster: Listener},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Listeners: []*listenerv3.Listener{r.listener()},
			Clusters:  []*clusterv3.Cluster{r.cluster()},
		},
	}
	if r.options.Admin != "" {
		b.Admin = &bootstrapv3.Admin{Address: r.address(r.options.Admin)}
	}
	if r.err != nil {
		return nil, r.err
	}
	compact, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", mesh.ErrOptions, err)
	}
	// protojson varies its white space on purpose; equal options shall be equal files.
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, fmt.Errorf("%w: %w", mesh.ErrOptions, err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func (r *renderer) address(hostPort string) *corev3.Address {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		r.fail(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		r.fail(fmt.Errorf("port of %q, want a number: %w", hostPort, err))
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return socketAddress(host, uint16(number))
}

func socketAddress(host string, port uint16) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

func (r *renderer) any(m proto.Message) *anypb.Any {
	packed, err := anypb.New(m)
	if err != nil {
		r.fail(err)
	}
	return packed
}

func (r *renderer) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %w", mesh.ErrOptions, err)
	}
}

func duration(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

// unlimited is how Istio turns Envoy's circuit breakers off.
const unlimited = math.MaxUint32
