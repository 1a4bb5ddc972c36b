package engine

import (
	"fmt"
	"os"

	"github.com/shirou/gopsutil/v4/process"
)

// usage is what this process has used so far.
type usage struct {
	cpuSeconds float64
	rss        uint64
}

// self reads this process's usage.
func self() (usage, error) {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return usage{}, fmt.Errorf("own resource usage: %w", err)
	}
	times, err := p.Times()
	if err != nil {
		return usage{}, fmt.Errorf("own CPU time: %w", err)
	}
	memory, err := p.MemoryInfo()
	if err != nil {
		return usage{}, fmt.Errorf("own memory: %w", err)
	}
	return usage{cpuSeconds: times.User + times.System, rss: memory.RSS}, nil
}
