package engine

import (
	"fmt"
	"os"

	"github.com/shirou/gopsutil/v4/process"
)

// usage is what this process has used so far.
type usage struct {
	cpuSeconds float64
	// maxRSS in bytes, of the process and so of all runs of a batch up to this one.
	maxRSS uint64
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
	memory, err := maxRSS(p)
	if err != nil {
		return usage{}, err
	}
	return usage{cpuSeconds: times.User + times.System, maxRSS: memory}, nil
}
