package endpoints

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// ErrInvalid is returned by Parse and Marshal, wrapped with what was found and what was expected.
var ErrInvalid = errors.New("endpoints: not a list of pods")

// typeURL is what EDS calls its resources.
const typeURL = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"

// Where Envoy's balancers look for an endpoint's hash key (MetadataFilters and MetadataEnvoyLbKeys in well_known_names.h).
const (
	metadataFilter  = "envoy.lb"
	metadataHashKey = "hash_key"
)

// Parse reads an EDS DiscoveryResponse in JSON. It is strict: an unknown field, a second cluster or locality, an
// endpoint that is no IP address, one that comes twice, and whatever else this package does not model fail with
// ErrInvalid. A response without endpoints is fine.
func Parse(b []byte) (Set, error) {
	var response discoveryv3.DiscoveryResponse
	if err := protojson.Unmarshal(b, &response); err != nil {
		return Set{}, invalid("want an EDS v3 DiscoveryResponse in JSON: %w", err)
	}
	if got := response.GetTypeUrl(); got != "" && got != typeURL {
		return Set{}, invalid("type_url is %q, want %q", got, typeURL)
	}
	if n := len(response.GetResources()); n != 1 {
		return Set{}, invalid("%d resources, want one ClusterLoadAssignment for cluster %q", n, ClusterName)
	}
	var assignment endpointv3.ClusterLoadAssignment
	if err := response.GetResources()[0].UnmarshalTo(&assignment); err != nil {
		return Set{}, invalid("resource is a %q, want %q: %w", response.GetResources()[0].GetTypeUrl(), typeURL, err)
	}
	set := Set{Version: response.GetVersionInfo()}
	var err error
	if set.Endpoints, err = parseAssignment(&assignment); err != nil {
		return Set{}, err
	}
	return set, nil
}

func parseAssignment(a *endpointv3.ClusterLoadAssignment) ([]Endpoint, error) {
	if a.GetClusterName() != ClusterName {
		return nil, invalid("cluster_name is %q, want %q", a.GetClusterName(), ClusterName)
	}
	localities := a.GetEndpoints()
	if len(localities) > 1 {
		return nil, invalid("%d localities, want one: hashes over several depend on the caller's zone", len(localities))
	}
	var list []Endpoint
	if len(localities) == 1 {
		for i, lb := range localities[0].GetLbEndpoints() {
			e, err := parseEndpoint(lb)
			if err != nil {
				return nil, fmt.Errorf("lb_endpoints[%d]: %w", i, err)
			}
			list = append(list, e)
		}
	}
	if err := check(list); err != nil {
		return nil, err
	}
	if !proto.Equal(normal(a), assignment(list)) {
		return nil, invalid("it holds fields besides hostname, socket_address, health_status, load_balancing_weight " +
			"and hash_key; remove them, as only Envoy would act on them")
	}
	return list, nil
}

// normal is a without what may differ from what Marshal writes and means the same.
func normal(a *endpointv3.ClusterLoadAssignment) *endpointv3.ClusterLoadAssignment {
	a = proto.CloneOf(a)
	if len(a.GetEndpoints()) == 0 {
		a.Endpoints = []*endpointv3.LocalityLbEndpoints{{}}
	}
	a.GetEndpoints()[0].Locality = nil // a name only, as long as it is the only one
	for _, lb := range a.GetEndpoints()[0].GetLbEndpoints() {
		socket := lb.GetEndpoint().GetAddress().GetSocketAddress()
		if ip, err := netip.ParseAddr(socket.GetAddress()); err == nil {
			socket.Address = ip.String()
		}
	}
	return a
}

func parseEndpoint(lb *endpointv3.LbEndpoint) (Endpoint, error) {
	socket := lb.GetEndpoint().GetAddress().GetSocketAddress()
	if socket == nil {
		return Endpoint{}, invalid(`want endpoint.address.socket_address {"address": IP, "port_value": PORT}`)
	}
	ip, err := netip.ParseAddr(socket.GetAddress())
	if err != nil || ip.Zone() != "" {
		return Endpoint{}, invalid("address %q, want an IPv4 or IPv6 address without a zone", socket.GetAddress())
	}
	port := socket.GetPortValue()
	if port == 0 || port > 65535 {
		return Endpoint{}, invalid("port_value %d of %s, want 1 to 65535", port, ip)
	}
	if lb.GetLoadBalancingWeight() != nil && lb.GetLoadBalancingWeight().GetValue() == 0 {
		return Endpoint{}, invalid("load_balancing_weight 0 of %s, want at least 1, or none", ip)
	}
	key := lb.GetMetadata().GetFilterMetadata()[metadataFilter].GetFields()[metadataHashKey]
	if _, isString := key.GetKind().(*structpb.Value_StringValue); key != nil && !isString {
		return Endpoint{}, invalid("hash_key of %s is %s, want a string", ip, key)
	}
	return Endpoint{
		Pod:     lb.GetEndpoint().GetHostname(),
		Address: netip.AddrPortFrom(ip, uint16(port)).String(),
		Health:  Health(lb.GetHealthStatus()),
		Weight:  lb.GetLoadBalancingWeight().GetValue(),
		HashKey: key.GetStringValue(),
	}, nil
}

// check holds what Parse and Marshal both ask of endpoints.
func check(list []Endpoint) error {
	addresses, pods := make(map[string]struct{}, len(list)), make(map[string]struct{}, len(list))
	for _, e := range list {
		at, err := netip.ParseAddrPort(e.Address)
		if err != nil || at.Addr().Zone() != "" || at.Port() == 0 || at.String() != e.Address {
			return invalid("address %q of pod %q, want ip:port or [ip]:port in its shortest form", e.Address, e.Pod)
		}
		if !e.Health.valid() {
			return invalid("health_status %d of %s, want one that envoy.config.core.v3.HealthStatus names", e.Health, e.Address)
		}
		if _, twice := addresses[e.Address]; twice {
			return invalid("%s is there twice, want each address once", e.Address)
		}
		addresses[e.Address] = struct{}{}
		if e.Pod == "" {
			continue
		}
		if _, twice := pods[e.Pod]; twice {
			return invalid("hostname %q is there twice, want each pod once", e.Pod)
		}
		pods[e.Pod] = struct{}{}
	}
	return nil
}

// Marshal is the file's content: EDS JSON, indented, equal for equal sets. It fails with ErrInvalid for a set that Parse
// would refuse.
func (s Set) Marshal() ([]byte, error) {
	if err := check(s.Endpoints); err != nil {
		return nil, err
	}
	resource, err := anypb.New(assignment(s.Endpoints))
	if err != nil {
		return nil, invalid("%w", err)
	}
	compact, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(&discoveryv3.DiscoveryResponse{
		VersionInfo: s.Version,
		TypeUrl:     typeURL,
		Resources:   []*anypb.Any{resource},
	})
	if err != nil {
		return nil, invalid("%w", err) // a string that is not UTF-8
	}
	// protojson varies its white space on purpose; equal sets shall be equal files.
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, invalid("%w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// assignment is the message for endpoints that passed check.
func assignment(list []Endpoint) *endpointv3.ClusterLoadAssignment {
	locality := &endpointv3.LocalityLbEndpoints{}
	for _, e := range list {
		at := netip.MustParseAddrPort(e.Address)
		lb := &endpointv3.LbEndpoint{
			HealthStatus: corev3.HealthStatus(e.Health),
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Hostname: e.Pod,
				Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
					Address:       at.Addr().String(),
					PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(at.Port())},
				}}},
			}},
		}
		if e.Weight > 0 {
			lb.LoadBalancingWeight = wrapperspb.UInt32(e.Weight)
		}
		if e.HashKey != "" {
			lb.Metadata = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
				metadataFilter: {Fields: map[string]*structpb.Value{metadataHashKey: structpb.NewStringValue(e.HashKey)}},
			}}
		}
		locality.LbEndpoints = append(locality.LbEndpoints, lb)
	}
	return &endpointv3.ClusterLoadAssignment{
		ClusterName: ClusterName,
		Endpoints:   []*endpointv3.LocalityLbEndpoints{locality},
	}
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}
