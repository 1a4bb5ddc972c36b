package wire

import "net/url"

// Paths of the public API.
const (
	PathInference = "/inference"
	PathSessions  = "/v1/sessions"
	PathCalls     = "/v1/calls"
	PathFleet     = "/v1/fleet"
)

// FleetProcess is the name of the fleet itself among the processes of fleet.v1; its address is that of the control API.
const FleetProcess = "fleet"

// SmaranProcess and RedisProcess are the names of two more of them.
const (
	SmaranProcess = "smaran"
	RedisProcess  = "redis"
)

// PathReady is on the admin port of every service: 200 while it should get traffic.
const PathReady = "/readyz"

// PathCall is the resource of a session's call, the Location of a 201.
func PathCall(session string) string { return PathCalls + "/" + url.PathEscape(session) }

// PathCallEvents is the call's event stream.
func PathCallEvents(session string) string { return PathCall(session) + "/events" }

// PathCallControl takes control messages.
func PathCallControl(session string) string { return PathCall(session) + "/control" }
