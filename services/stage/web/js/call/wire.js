// Names on the wire, as Go's package wire has them; a test holds the two against each other.

export const header = {
  session: "X-Call-Session-Id",
  pod: "X-Jarvis-Pod",
  epoch: "X-Jarvis-Epoch",
  forwarded: "X-Jarvis-Forwarded",
  stateful: "X-Jarvis-Session",
  backend: "X-Smaran-Backend",
  lostPod: "X-Smaran-Lost-Pod",
  migrate: "X-Smaran-Migrate",
  stageSession: "X-Stage-Session",
};

export const type = {
  sdp: "application/sdp",
  sdpFragment: "application/trickle-ice-sdpfrag",
  problem: "application/problem+json",
  eventStream: "text/event-stream",
  json: "application/json",
};

export const path = { inference: "/inference", sessions: "/v1/sessions", calls: "/v1/calls" };

export const event = {
  pod: "pod", podLost: "pod_lost", ended: "ended", heartbeat: "heartbeat", draining: "draining", migrate: "migrate",
};

export const code = { ownerMoved: "owner_moved" };

// reason of an ended event: notGranted leaves the first call of two behind.
export const reason = { notGranted: "not_granted" };

// channel is the data channel on which the agent sends what it said, as messages of this type.
export const channel = { label: "transcript", type: "transcript" };

// millis reads a protobuf duration, such as "0.250s".
export const millis = (duration) => (duration ? 1000 * parseFloat(duration) : 0);
