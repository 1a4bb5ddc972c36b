//go:build unix

package peer_test

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchCalls is how many calls the agent's end holds while it is measured: what a pod is dimensioned for.
const benchCalls = 200

// BenchmarkCallsPerCore measures what CPU time the agent's end of a call takes, with 50 packets a second each way and a caller
// who speaks now and then. The callers are another process, so all of this process' time is the agent's (system time, in
// which the kernel also does the receiving side's work of what is sent, included). An iteration is a second of media.
func BenchmarkCallsPerCore(b *testing.B) {
	p := startPod(b, ungated)
	callFromChild(b, p, benchCalls)
	seconds := 0
	before, started := cpuTime(b), time.Now()
	var mem [2]runtime.MemStats
	runtime.ReadMemStats(&mem[0])
	for b.Loop() {
		<-time.After(time.Second)
		seconds++
	}
	spent, elapsed := cpuTime(b)-before, time.Since(started)
	runtime.ReadMemStats(&mem[1])
	require.Equal(b, benchCalls, p.Count())
	perCall := spent.Seconds() / elapsed.Seconds() / benchCalls
	packets := elapsed.Seconds() * benchCalls * 100
	b.ReportMetric(1/perCall, "calls/core")
	b.ReportMetric(perCall*1e6/100, "µs-cpu/packet")
	b.ReportMetric(float64(mem[1].Mallocs-mem[0].Mallocs)/packets, "allocs/packet")
}

// BenchmarkMemoryPerCall measures what memory the agent's end of a call takes, once media flows: Go's heap and stacks after a
// collection, and the goroutines.
func BenchmarkMemoryPerCall(b *testing.B) {
	p := startPod(b, ungated)
	before, goroutines := inUse(), runtime.NumGoroutine()
	callFromChild(b, p, benchCalls)
	for b.Loop() {
		<-time.After(time.Second)
	}
	after := inUse()
	require.Equal(b, benchCalls, p.Count())
	b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/1024/benchCalls, "heap-KiB/call")
	b.ReportMetric(float64(after.StackInuse-before.StackInuse)/1024/benchCalls, "stack-KiB/call")
	b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/benchCalls, "goroutines/call")
}

func inUse() (m runtime.MemStats) {
	debug.FreeOSMemory()
	runtime.ReadMemStats(&m)
	return m
}

func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
