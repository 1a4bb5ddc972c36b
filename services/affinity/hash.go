package affinity

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// HashValue is XXH64 of v with seed 0, which is what Envoy makes of a single header value, a cookie or a session.
func HashValue(v string) uint64 {
	return xxhash.Sum64String(v)
}

// HashHeader is a hash policy's hash of all the values that a request has for one header (HeaderHashMethod in
// common/http/hash_policy.cc): sorted bytewise, each hashed with the hash of those before it as its seed, so that their
// order in the request does not matter. Without values there is no hash; an empty value is a value.
func HashHeader(values []string) (hash uint64, ok bool) {
	switch len(values) {
	case 0:
		return 0, false
	case 1:
		return HashValue(values[0]), true
	}
	// Four values fit on the stack; requests seldom repeat a header more often.
	sorted := append(make([]string, 0, 4), values...)
	slices.Sort(sorted)
	for _, v := range sorted {
		hash = seeded(v, hash)
	}
	return hash, true
}

// HashCookie is a hash policy's hash of a cookie's value without its quotes. An empty or missing cookie has no hash
// unless the policy has a ttl; then Envoy hashes what GenerateCookieValue makes.
func HashCookie(v string) uint64 {
	return HashValue(v)
}

// HashSourceIP is a hash policy's hash of the downstream address, without port and zone. An IPv4 address mapped into
// IPv6 counts as IPv4, as it does where Envoy listens on both.
func HashSourceIP(ip netip.Addr) uint64 {
	return HashValue(ip.Unmap().WithZone("").String())
}

// PolicyHash is what one hash policy of a route made of a request.
type PolicyHash struct {
	Hash uint64
	// OK is whether the request had something to hash.
	OK bool
	// Terminal ends the evaluation after this policy where a hash exists by then, be it this policy's or an
	// earlier one's.
	Terminal bool
}

// Combine is the hash of a route's policies in their order (HashPolicyImpl::generateHash in common/http/hash_policy.cc).
// ok is false where none made a hash; Envoy then picks at random.
func Combine(hashes ...PolicyHash) (hash uint64, ok bool) {
	for _, h := range hashes {
		if h.OK {
			// Rotating keeps two equal hashes from cancelling each other.
			hash, ok = bits.RotateLeft64(hash, 1)^h.Hash, true
		}
		if h.Terminal && ok {
			break
		}
	}
	return hash, ok
}

// GenerateCookieValue is the value that Envoy gives a missing cookie whose hash policy has a ttl (generateCookie in
// thread_aware_lb_impl.cc). remote and local are the downstream connection's addresses as "ip:port".
func GenerateCookieValue(remote, local string) string {
	return fmt.Sprintf("%016x", xxhash.Sum64String(remote+local))
}

func seeded(s string, seed uint64) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.WriteString(s) // never fails
	return d.Sum64()
}
