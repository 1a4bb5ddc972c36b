// Package turn is the relay (RFC 8656) through which a browser reaches pods whose addresses it can't: one port, UDP and TCP, that takes
// a caller's media to a pod and back.
//
// It is no open relay: who uses it needs a credential that smaran minted (package credential), media goes to pods and to nothing else, and a
// user has a bound on what it holds. It knows neither calls nor sessions, keeps nothing, and does TCP to peers (RFC 6062) not at all.
// pion/turn speaks the protocol.
package turn
