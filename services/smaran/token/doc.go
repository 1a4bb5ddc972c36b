// Package token seals the value of a mesh's stateful session before a client gets it, and opens it when it comes back.
//
// Envoy's own token is base64 of the pod's address: whoever can write base64 chooses the pod. A sealed token can only be
// made with one of the keys, belongs to one session, and expires. It hides the address as well.
//
// A token is base64url, without padding, of
//
//	version (1 byte) | length of the key's id (1) | key's id | expiry, Unix seconds (8) | digest of the session (16) | nonce (12) | AES-256-GCM
//
// Everything before the nonce is authenticated as additional data, so that a token which is authentic but someone else's, or
// past its time, is told apart from a forged one. The digest is SHA-256 cut to 128 bits.
package token
