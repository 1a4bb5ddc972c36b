package envoyconfig

import (
	"path/filepath"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	commondnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	clusterdnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/smaran-v2/smaran/services/discovery/dns"
	"github.com/smaran-v2/smaran/services/endpoints"
	"github.com/smaran-v2/smaran/services/wire"
)

// source is where a cluster's pods come from.
type source interface {
	discover(r *renderer, c *clusterv3.Cluster)
	// statuses are what Envoy calls pods of this source with one of those in the set.
	statuses(of []endpoints.Health) []corev3.HealthStatus
}

// fromFile is an EDS DiscoveryResponse, followed.
type fromFile struct{ path string }

func (f fromFile) discover(_ *renderer, c *clusterv3.Cluster) {
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{
			Path: f.path,
			// Without it the swap of a symbolic link beside the file goes unseen.
			WatchedDirectory: &corev3.WatchedDirectory{Path: filepath.Dir(f.path)},
		}},
	}}
}

func (fromFile) statuses(of []endpoints.Health) []corev3.HealthStatus {
	var statuses []corev3.HealthStatus
	for _, health := range of {
		statuses = append(statuses, corev3.HealthStatus(health))
	}
	return statuses
}

// fromDNS is a name whose addresses are checked: Envoy sees what package dns sees with the same timings.
type fromDNS struct{ name dns.Name }

// spare is how many pods may drain for each one that does not, in percent, before Envoy gives them new sessions (its overprovisioning
// factor). Its own 140 would at once where two of three pods drain.
const spare = 100 * 100

func (f fromDNS) discover(r *renderer, c *clusterv3.Cluster) {
	// What used to be called STRICT_DNS: each address is a host.
	c.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
		Name: "envoy.clusters.dns",
		TypedConfig: r.any(&clusterdnsv3.DnsCluster{
			DnsRefreshRate:  duration(dns.Interval),
			DnsLookupFamily: commondnsv3.DnsLookupFamily_V4_PREFERRED,
		}),
	}}
	c.LoadAssignment = &endpointv3.ClusterLoadAssignment{
		ClusterName: c.GetName(),
		Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Address:           socketAddress(f.name.Host, f.name.Port),
				HealthCheckConfig: &endpointv3.Endpoint_HealthCheckConfig{PortValue: uint32(f.name.Admin)},
			}},
		}}}},
		Policy: &endpointv3.ClusterLoadAssignment_Policy{OverprovisioningFactor: wrapperspb.UInt32(spare)},
	}
	c.HealthChecks = []*corev3.HealthCheck{{
		Timeout: duration(dns.CheckTimeout),
		// Envoy has an interval for each state, and checks once a minute where it has seen no traffic.
		Interval:              duration(dns.Interval),
		NoTrafficInterval:     duration(dns.Interval),
		UnhealthyInterval:     duration(dns.Interval),
		UnhealthyEdgeInterval: duration(dns.Interval),
		UnhealthyThreshold:    wrapperspb.UInt32(dns.UnhealthyAfter),
		HealthyThreshold:      wrapperspb.UInt32(1),
		HealthChecker: &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &corev3.HealthCheck_HttpHealthCheck{
			Path: wire.PathReady,
		}},
	}}
	c.CommonLbConfig.IgnoreNewHostsUntilFirstHc = true
}

// statuses: a check knows of no draining. A pod that drains answers as a degraded one (wire.HeaderEnvoyDegraded), which Envoy
// leaves out of the balancing while there are others, and no pod is degraded for another reason.
func (fromDNS) statuses(of []endpoints.Health) []corev3.HealthStatus {
	var statuses []corev3.HealthStatus
	for _, health := range of {
		switch health {
		case endpoints.Degraded:
		case endpoints.Draining:
			statuses = append(statuses, corev3.HealthStatus_DEGRADED)
		default:
			statuses = append(statuses, corev3.HealthStatus(health))
		}
	}
	return statuses
}
