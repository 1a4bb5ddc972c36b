package cli

import (
	"bytes"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

func TestNamesComeFromOneFlagOrMore(t *testing.T) {
	for _, c := range []struct {
		args []string
		want names
	}{
		{nil, names{"istio-hash"}},
		{[]string{"--backend", "redis,app-hash"}, names{"redis", "app-hash"}},
		{[]string{"--backend", "redis", "--backend=istio-hash"}, names{"redis", "istio-hash"}}, // the default is no name given
	} {
		var flags runCmd
		parser, err := kong.New(&flags, kong.Writers(&bytes.Buffer{}, &bytes.Buffer{}))
		require.NoError(t, err)
		_, err = parser.Parse(c.args)
		require.NoError(t, err)
		require.Equal(t, c.want, flags.Backend)
	}
}
