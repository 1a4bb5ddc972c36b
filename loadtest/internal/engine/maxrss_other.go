//go:build !linux && !darwin

package engine

import (
	"fmt"

	"github.com/shirou/gopsutil/v4/process"
)

// maxRSS is what this process has resident now, in bytes, where the system does not tell the most it ever had.
func maxRSS(p *process.Process) (uint64, error) {
	memory, err := p.MemoryInfo()
	if err != nil {
		return 0, fmt.Errorf("own memory: %w", err)
	}
	return memory.RSS, nil
}
