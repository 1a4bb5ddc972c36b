package wire

import "go.opentelemetry.io/otel/attribute"

// Names of spans besides those of requests, which are called after their route or procedure.
const (
	// SpanCall is a caller's call from its first offer to its end; everything else of the call is below it.
	SpanCall = "call"
	// SpanRoute is smaran's decision.
	SpanRoute = "smaran.route"
	// SpanPick is the mesh's choice and the exchange with the pod that it chose.
	SpanPick = "mesh.pick"
	// SpanInfer is the pod's answer, loading included.
	SpanInfer = "jarvis.infer"
	// Steps of a handoff, each in the trace of the session's call: a copy sent ahead, the search for an owner and what is taken from it, the
	// word to the caller to move, and the session given away by a pod that leaves. What made a pod begin one is linked.
	SpanCopy    = "handoff.copy"
	SpanSettle  = "handoff.settle"
	SpanMigrate = "handoff.migrate"
	SpanLeave   = "handoff.leave"
	// SpanMoves and SpanDrain are such beginnings: endpoints that give calls to other pods, and the end of a pod.
	SpanMoves = "handoff.moves"
	SpanDrain = "jarvis.drain"
)

// Attributes of spans. The session's is session.SpanKey.
const (
	AttributeBackend = attribute.Key("smaran.backend")
	// AttributeDegraded: the backend could not keep its promise and fell back.
	AttributeDegraded = attribute.Key("smaran.degraded")
	// AttributeAgain: it is the second decision for the request.
	AttributeAgain = attribute.Key("smaran.again")
	AttributePod   = attribute.Key("jarvis.pod")
	AttributeEpoch = attribute.Key("jarvis.epoch")
	// AttributeState is what the request found: cold, warm or cached.
	AttributeState = attribute.Key("jarvis.state")
	// AttributePolicy is how the mesh chooses, AttributeTries how many pods it asked.
	AttributePolicy = attribute.Key("mesh.policy")
	AttributeTries  = attribute.Key("mesh.tries")
	// AttributeTo is the pod that a session goes to.
	AttributeTo = attribute.Key("handoff.to")
)
