package report_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/loadtest/internal/report"
	reportv1 "github.com/smaran-v2/smaran/proto/report/v1"
)

// podRun is a run over pods with these requests, that have names of their own in each repeat as in a cluster.
func podRun(repeat uint32, requests ...uint64) *reportv1.Result {
	r := &reportv1.Result{Backend: "redis", Scenario: "x", Repeat: repeat, Valid: true}
	for i, n := range requests {
		r.Pods = append(r.Pods, &reportv1.PodLoad{Pod: fmt.Sprintf("jarvis-%d-%c", repeat, 'a'+i), Requests: n})
	}
	return r
}

func TestPodsAreNotMergedOverRepeats(t *testing.T) {
	p := render(t, &reportv1.Report{Results: []*reportv1.Result{podRun(1, 10, 20, 30), podRun(2, 20, 20, 20)}})
	p.says(t, "peak/mean 1.25 (1.00–1.50 over 2 repeats)")
	p.says(t, "no pod is added up over repeats")
	require.Equal(t, 1, strings.Count(p.raw, "jarvis-1-c: 30 requests"))
	require.False(t, strings.Contains(p.raw, "jarvis-2-c: "), "drawn is one repeat")
	p.says(t, "2 jarvis-2-c 20") // the table has both
}

func TestPodsThatReplacedOthersAreInTheMean(t *testing.T) {
	p := render(t, &reportv1.Report{Results: []*reportv1.Result{podRun(1, 10, 10, 10, 30, 30, 30)}})
	p.says(t, "peak/mean 1.50 ")
	p.saysNot(t, "over 1 repeats")
}

// A pod that got nothing is listed with no requests, as in a cluster, or is only known from how many were healthy.
func TestPodsWithoutRequestsAreSaid(t *testing.T) {
	unlisted := podRun(1, 10, 20)
	unlisted.Backend = "handoff"
	unlisted.Events = []*reportv1.Event{{Name: "scale=5", Changes: []*reportv1.EndpointChange{{Healthy: 5}}}}
	r := &reportv1.Report{Results: []*reportv1.Result{podRun(1, 10, 20, 0), podRun(2, 20, 0, 0), unlisted}}
	r.Results[1].Repeat = 1 // as the other backends have but one
	const line = "Pods that got no requests: redis 1–2 of 3, handoff 3 of 5."
	var out bytes.Buffer
	require.NoError(t, report.Table(&out, r))
	require.Contains(t, out.String(), line+"\n")
	p := render(t, r)
	p.says(t, line)
	p.says(t, "; 1–2 of 3 pods got no requests")
	p.says(t, "; 3 of 5 pods got no requests")
	require.True(t, strings.Contains(p.raw, "jarvis-1-c: 0 requests"))

	r.Results = []*reportv1.Result{podRun(1, 10, 20), podRun(2, 10, 20, 30)}
	out.Reset()
	require.NoError(t, report.Table(&out, r))
	require.NotContains(t, out.String(), "got no requests", "one repeat had fewer pods, and all of them served")
	render(t, r).saysNot(t, "got no requests")
}
