package mesh

import "golang.org/x/sys/unix"

// monotonicSeconds is the clock that Envoy measures a cookie's expiry by: std::chrono::steady_clock, which starts with the
// machine. So a token with a ttl means the same to an Envoy on the same machine.
func monotonicSeconds() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0 // cannot happen: every Linux has the clock
	}
	return uint64(now.Sec)
}
