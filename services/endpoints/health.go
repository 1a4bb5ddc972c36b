package endpoints

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// Health is an endpoint's health_status, with the numbers of envoy.config.core.v3.HealthStatus.
type Health corev3.HealthStatus

// The statuses, and what Envoy makes of each (HostImplBase::coarseHealth and setEdsHealthFlag in upstream_impl.h).
const (
	// Unknown is what a file without a status says. It counts as Healthy.
	Unknown = Health(corev3.HealthStatus_UNKNOWN)
	// Healthy is in rotation.
	Healthy = Health(corev3.HealthStatus_HEALTHY)
	// Unhealthy gets nothing.
	Unhealthy = Health(corev3.HealthStatus_UNHEALTHY)
	// Draining is out of rotation; a stateful session's cookie still selects it.
	Draining = Health(corev3.HealthStatus_DRAINING)
	// Timeout is Unhealthy by another name.
	Timeout = Health(corev3.HealthStatus_TIMEOUT)
	// Degraded is used by the balancers that do not hash, once too few are healthy, and by stateful sessions.
	Degraded = Health(corev3.HealthStatus_DEGRADED)
)

// InRotation is whether every balancer uses the endpoint.
func (h Health) InRotation() bool { return h == Unknown || h == Healthy }

// String is the status's name in EDS, such as DRAINING.
func (h Health) String() string { return corev3.HealthStatus(h).String() }

func (h Health) valid() bool {
	_, known := corev3.HealthStatus_name[int32(h)]
	return known
}
