package wire

// Headers that a reply carries about the pod that served it. They repeat what the JSON body's "served" says, for replies
// whose body is something else (SDP).
const (
	// HeaderPod is the pod's name, such as jarvis-2.
	HeaderPod = "X-Jarvis-Pod"
	// HeaderIncarnation changes whenever the pod's process starts anew.
	HeaderIncarnation = "X-Jarvis-Incarnation"
	// HeaderEpoch counts a session's owners. In a request it fences: a pod that knows a higher one refuses.
	HeaderEpoch = "X-Jarvis-Epoch"
	// HeaderForwarded names the pod that passed a request on to the session's owner. Such a request is passed on no further. In a reply
	// it says that this happened.
	HeaderForwarded = "X-Jarvis-Forwarded"
	// HeaderTurn counts the session's answers.
	HeaderTurn = "X-Jarvis-Turn"
	// HeaderChecksum covers the conversation up to that turn, 16 hex digits.
	HeaderChecksum = "X-Jarvis-Checksum"
	// HeaderCacheState is cold, warm or cached.
	HeaderCacheState = "X-Jarvis-State"
)

// Names of Envoy's stateful session, between smaran and the mesh, and of the sealed token between smaran and its clients.
const (
	HeaderStateful = "X-Jarvis-Session"
	CookieStateful = "jarvis"
)

// CookiePeer is the stateful session's cookie of the way to one pod (SMARAN_PEERS_URL, JARVIS_PEERS_URL): smaran and
// the pods make it, and neither take it from a client nor give it to one.
const CookiePeer = "jarvis-peer"

// HeaderSessionBucket is on every request with a session that smaran sends to jarvis: the session's bucket (session.ID.Bucket), 0 to 99 in
// decimal. A mesh can match it where it can't compute a hash, so that a share of the sessions, each with all of its requests, goes to
// another version. A pod does not look at it, and smaran takes it from no client; who asks jarvis without smaran may send any, or none.
const HeaderSessionBucket = "X-Session-Bucket"

// Headers of smaran's own API.
const (
	// HeaderBackend names a backend for one request, where smaran allows it; in a reply, the one that was used.
	HeaderBackend = "X-Smaran-Backend"
	// HeaderLostPod, in POST /v1/calls, names the pod whose loss made the caller redial.
	HeaderLostPod = "X-Smaran-Lost-Pod"
	// HeaderMigrate, in POST /v1/calls, is the token of the event migrate: the call is the second one of a session that moves.
	HeaderMigrate = "X-Smaran-Migrate"
	// HeaderStageSession, in what a stage passes on from smaran, is the name by which it shows the session to readers, where that is not its id.
	HeaderStageSession = "X-Stage-Session"
	// HeaderDegraded is "true" on a reply whose backend could not keep its promise.
	HeaderDegraded = "X-Smaran-Degraded"
	// HeaderAcceptPatch is required of a WHIP resource by RFC 9725 section 4.3.
	HeaderAcceptPatch = "Accept-Patch"
	// HeaderRetryAfter is in whole seconds (RFC 9110 section 10.2.3).
	HeaderRetryAfter = "Retry-After"
	// HeaderUpstreamServiceTime is what Envoy adds: whole milliseconds the upstream took.
	HeaderUpstreamServiceTime = "X-Envoy-Upstream-Service-Time"
	// HeaderEnvoyDegraded, on the answer to a health check, has Envoy leave a pod out of the balancing that is still to be reached: one
	// that drains, where no list of endpoints says so.
	HeaderEnvoyDegraded = "X-Envoy-Degraded"
)

// Media types.
const (
	ContentTypeSDP         = "application/sdp"
	ContentTypeSDPFragment = "application/trickle-ice-sdpfrag" // RFC 8840 section 9
	ContentTypeProblem     = "application/problem+json"        // RFC 9457 section 3
	ContentTypeEventStream = "text/event-stream"
	ContentTypeJSON        = "application/json"
)

// TranscriptChannel is the label of the data channel on which the agent sends what it said.
const TranscriptChannel = "transcript"
