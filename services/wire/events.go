package wire

import "time"

// Event names on GET /v1/calls/{id}/events. The data of each is the JSON form of a jarvis.v1 WatchResponse.
const (
	EventPod       = "pod"
	EventPodLost   = "pod_lost"
	EventEnded     = "ended"
	EventHeartbeat = "heartbeat"
	EventDraining  = "draining"
	EventMigrate   = "migrate"
)

// MigrateWithin is how long after a change of endpoints the last caller whose session moves has been told so. Until then its requests
// are passed on to the pod that has its call.
const MigrateWithin = 2 * time.Second
