// Package runinfo describes what made a report or a recording: the machine, the versions of the programs, and the command that makes it
// again. It measures nothing.
package runinfo

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"
	"google.golang.org/protobuf/types/known/timestamppb"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/version"
)

// idTime makes ids that sort by time and are good file names.
const idTime = "20060102-150405"

// New describes a run of bin/loadtest, of a kind (demo, run, compare), that starts now.
func New(ctx context.Context, kind string, args []string, seed uint64, driver, label string, now time.Time) (*reportv1.Run, error) {
	m, err := Machine(ctx)
	if err != nil {
		return nil, err
	}
	return &reportv1.Run{
		Id: kind + "-" + now.UTC().Format(idTime), Kind: kind, Command: Command("bin/loadtest", args), Started: timestamppb.New(now),
		Seed: seed, Driver: driver, Machine: m, Versions: Versions(), Label: label,
	}, nil
}

// Command is a command line that can be pasted into a shell.
func Command(program string, args []string) string {
	out := []string{program}
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$&|;<>()*?!`#~={}[]") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

// Machine describes this one.
func Machine(ctx context.Context) (*reportv1.Machine, error) {
	info, err := host.InfoWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe the machine: %w", err)
	}
	memory, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe the machine's memory: %w", err)
	}
	out := &reportv1.Machine{
		Os: runtime.GOOS, Arch: runtime.GOARCH, Cpus: uint32(runtime.NumCPU()), MemoryBytes: memory.Total,
		Kernel: strings.TrimSpace(info.Platform + " " + info.PlatformVersion + ", " + info.KernelVersion),
	}
	// Some systems do not say what their processor is called.
	if cpus, err := cpu.InfoWithContext(ctx); err == nil && len(cpus) > 0 {
		out.CpuModel = cpus[0].ModelName
	}
	return out, nil
}

// Describe is a machine in one line.
func Describe(m *reportv1.Machine) string {
	return fmt.Sprintf("%s, %d cores, %.1f GiB, %s", m.GetCpuModel(), m.GetCpus(), float64(m.GetMemoryBytes())/(1<<30),
		strings.TrimSpace(m.GetOs()+"/"+m.GetArch()+" "+m.GetKernel()))
}

// Program is the key of this program's own revision in Versions.
const Program = "smaran"

// Versions of this program and of what it is built from.
func Versions() map[string]string {
	out := map[string]string{Program: version.String(), "go": runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if strings.HasPrefix(m.Path, "github.com/pion/webrtc/") {
				out["pion"] = m.Version
			}
		}
	}
	return out
}
