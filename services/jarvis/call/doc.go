// Package call is the agent's end of WebRTC calls: it answers SDP offers (WHIP's exchange, RFC 9725, with media both ways),
// takes trickled candidates, listens for speech, speaks, and tells watchers what becomes of a call. All calls of a pod share
// one UDP socket, one certificate and one pacing goroutine.
//
// It is not signalling: HTTP, RPC, epochs and who may call are the pod's business, and so is what an answer is (Responder).
package call
