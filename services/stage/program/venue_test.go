package program_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
	"github.com/smaran-v2/smaran/services/stage/program"
)

func TestAVenueIsNamedOnce(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	const lanes, namespace = "STAGE_LANES=a=http://127.0.0.1:1", "STAGE_NAMESPACE=dev"
	for name, c := range map[string]struct {
		environ []string
		says    string
	}{
		"none":                         {nil, "either LANES, "},
		"two":                          {[]string{lanes, namespace}, "either LANES, "},
		"controls without a namespace": {[]string{lanes, "STAGE_CONTROLS=true"}, "CONTROLS is for the fleet of a NAMESPACE"},
		"a namespace of no cluster":    {[]string{namespace}, kubernetes.ErrNoCluster.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			environ := append(c.environ, "STAGE_LISTEN=127.0.0.1:0", "STAGE_CROWD_LISTEN=127.0.0.1:0", "STAGE_ADMIN_LISTEN=127.0.0.1:0")
			require.ErrorContains(t, program.Run(ctx, []string{"serve"}, environ, io.Discard, io.Discard), c.says)
		})
	}
}
