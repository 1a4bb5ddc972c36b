//go:build !linux

package mesh

import "time"

// monotonicSeconds is not the clock of an Envoy on the same machine here, which only matters for tokens with a ttl.
func monotonicSeconds() uint64 { return uint64(time.Now().Unix()) }
