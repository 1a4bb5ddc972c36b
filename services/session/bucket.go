package session

import "github.com/cespare/xxhash/v2"

// Buckets is how many there are.
const Buckets = 100

// Bucket is which hundredth of all sessions the ID is in, 0 to 99: XXH64 of it with seed 0, modulo Buckets. It depends on nothing else, so
// that all who compute it agree, and a share of sessions can be routed by it and stay together: buckets below 10 are a tenth of them.
//
// Example: XXH64("session-1") is 12724926790740281283, so its bucket is 83. A ring or a Maglev table that hashes the same ID says nothing
// about its bucket: they look at the whole hash, not at what is left of it by 100. affinity.Modulo over a number of pods that divides
// Buckets does, and would send a bucket to one pod.
func (id ID) Bucket() int { return int(xxhash.Sum64String(string(id)) % Buckets) }
