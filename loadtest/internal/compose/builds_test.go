package compose_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/wire"
)

// says is an admin port whose service was built from a revision.
func says(revision string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == wire.PathMetrics {
			fmt.Fprintf(w, "# TYPE %[1]s gauge\n%[1]s{%[2]s=%[3]q} 1\n", wire.MetricBuildInfo, wire.LabelRevision, revision)
		}
	}
}

func TestTheProjectSaysWhichBuildRuns(t *testing.T) {
	for name, c := range map[string]struct{ smaran, pods, wantSmaran, wantPods string }{
		"both say so":           {"v2", "v1", "go v2", "go v1"},
		"images of before that": {"", "", "go v1.2.3", "go unknown"}, // smaran's has a label
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.revise(c.smaran, c.pods)
			versions := map[string]string{}
			for _, p := range status(t, up(t, w, spec)).GetProcesses() {
				versions[p.GetName()] = p.GetKind() + " " + p.GetVersion()
			}
			require.Equal(t, c.wantSmaran, versions["smaran"])
			require.Equal(t, c.wantPods, versions["jarvis"])
		})
	}
}
