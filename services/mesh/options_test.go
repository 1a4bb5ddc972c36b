package mesh_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/mesh"
)

func TestDefaults(t *testing.T) {
	o, err := mesh.Parse([]string{"--endpoints", "f", "--policy", "ring"}, []string{"PATH=/bin"}, io.Discard)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(mesh.Options{
		Listen: "127.0.0.1:8081", Admin: "127.0.0.1:9091", Endpoints: "f", Policy: mesh.Ring,
		RingSize: 1024, TableSize: 65537, SessionHeader: "X-Call-Session-Id", Retries: 2,
		ConnectTimeout: 10 * time.Second, Timeout: 300 * time.Second, ShutdownGrace: 5 * time.Second,
		LogLevel: "info", LogFormat: "text",
	}, o))
	defaults, err := mesh.Defaults("f", mesh.Ring)
	require.NoError(t, err)
	require.Equal(t, o, defaults)
}

func TestFlagsWinOverVariables(t *testing.T) {
	o, err := mesh.Parse([]string{"--policy=maglev", "--retry-host=other"},
		[]string{"MESH_ENDPOINTS=f", "MESH_POLICY=ring", "MESH_TABLE_SIZE=251", "MESH_STREAM_TIMEOUT=1h", "OTHER=1"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, mesh.Maglev, o.Policy)
	require.EqualValues(t, 251, o.TableSize)
	require.Equal(t, time.Hour, o.StreamTimeout)
	require.Equal(t, mesh.RetryOther, o.RetryHost)
}

func TestOptionsAreStrict(t *testing.T) {
	for name, row := range map[string]struct {
		args, environ []string
		want          string
	}{
		"unknown flag":         {[]string{"--nope"}, nil, "--nope"},
		"unknown variable":     {nil, []string{"MESH_NOPE=1"}, "unknown variable MESH_NOPE, want one of MESH_ADMIN"},
		"no policy":            {[]string{"--endpoints=f"}, nil, "--policy"},
		"no endpoints":         {[]string{"--policy=ring"}, nil, "--endpoints"},
		"policy":               {[]string{"--endpoints=f", "--policy=rings"}, nil, "round_robin"},
		"policy in a variable": {[]string{"--endpoints=f"}, []string{"MESH_POLICY=rings"}, "round_robin"},
		"table":                {[]string{"--endpoints=f", "--policy=maglev", "--table-size=10"}, nil, "prime"},
		"ring":                 {[]string{"--endpoints=f", "--policy=ring", "--ring-size=9000000"}, nil, "at most 8388608"},
		"listen":               {[]string{"--endpoints=f", "--policy=ring", "--listen=8080"}, nil, "want host:port"},
		"negative time":        {[]string{"--endpoints=f", "--policy=ring", "--timeout=-1s"}, nil, "want at least 0"},
		"no connect time":      {[]string{"--endpoints=f", "--policy=ring", "--connect-timeout=0"}, nil, "want more than 0"},
		"retry host":           {[]string{"--endpoints=f", "--policy=ring", "--retry-host=any"}, nil, "other"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mesh.Parse(row.args, row.environ, io.Discard)
			require.ErrorIs(t, err, mesh.ErrOptions)
			require.ErrorContains(t, err, row.want)
		})
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	_, err := mesh.Parse([]string{"--help"}, nil, &out)
	require.ErrorIs(t, err, mesh.ErrHelp)
	require.Contains(t, out.String(), "--retry-host")
	require.NoError(t, mesh.Run(t.Context(), []string{"--help"}, nil, &out, io.Discard))
}
