//go:build linux || darwin

package engine

import (
	"fmt"
	"syscall"

	"github.com/shirou/gopsutil/v4/process"
)

// maxRSS is the most memory that this process ever had resident, in bytes.
func maxRSS(*process.Process) (uint64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("own memory: %w", err)
	}
	return uint64(u.Maxrss) * maxRSSUnit, nil
}
