package runinfo_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
	"github.com/smaran-v2/smaran/services/runinfo"
)

func TestNewDescribesTheRun(t *testing.T) {
	now := time.Date(2026, 11, 21, 13, 5, 9, 0, time.UTC)
	r, err := runinfo.New(t.Context(), "demo", []string{"demo", "--seed", "7"}, 7, "local", "quiet", now)
	require.NoError(t, err)
	require.Equal(t, "demo-20261121-130509", r.GetId())
	require.Equal(t, "bin/loadtest demo --seed 7", r.GetCommand())
	require.NotZero(t, r.GetMachine().GetCpus())
	require.NotZero(t, r.GetMachine().GetMemoryBytes())
	require.NotEmpty(t, r.GetMachine().GetKernel())
	require.NotEmpty(t, r.GetVersions()["go"])
	require.Contains(t, r.GetVersions(), "smaran")
}

func TestAMachineIsOneLine(t *testing.T) {
	m := &reportv1.Machine{Os: "linux", Arch: "arm64", CpuModel: "a processor", Cpus: 4, MemoryBytes: 3 << 29, Kernel: "debian 13, 6.12"}
	require.Equal(t, "a processor, 4 cores, 1.5 GiB, linux/arm64 debian 13, 6.12", runinfo.Describe(m))
}

func TestTheCommandSurvivesAShell(t *testing.T) {
	args := []string{"run", "--threshold", "dropped_calls==0", "--event", "10s:scale=10", "--labels", "it's a $test *", "", `a"b\c`}
	line := strings.TrimPrefix(runinfo.Command("bin/loadtest", args), "bin/loadtest ")
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `for a in `+line+`; do printf '[%s]' "$a"; done`).Output()
	require.NoError(t, err)
	want := ""
	for _, a := range args {
		want += "[" + a + "]"
	}
	require.Equal(t, want, string(out))
}
