package discovery_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/discovery/kubernetes"
	"github.com/smaran-v2/smaran/services/endpoints"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLocations(t *testing.T) {
	for _, text := range []string{
		"file:///run/smaran/eds.json",
		"file:///a%20path/eds.json",
		"dns://jarvis:8080?admin=9090",
		"dns://10.0.0.1:8080?admin=9090",
		"dns://[fd00::1]:8080?admin=9090",
		"kubernetes://dev/jarvis-service?port=http",
	} {
		l, err := discovery.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, text, l.String())
		var decoded discovery.Location
		require.NoError(t, decoded.UnmarshalText([]byte(text)))
		require.Equal(t, l, decoded)
	}
}

func TestWhatIsNoLocation(t *testing.T) {
	for text, expected := range map[string]string{
		"":                                   "file:///",
		"/run/eds.json":                      "file:///",
		"http://jarvis:8080":                 "kubernetes://NAMESPACE/SERVICE?port=NAME",
		"dns://jarvis:8080?admin=9090\n":     "file:///",
		"file://run/eds.json":                "an absolute path",
		"file:eds.json":                      "an absolute path",
		"file:///":                           "an absolute path",
		"file:///eds.json?watch=true":        "an absolute path",
		"file:///eds.json#x":                 "an absolute path",
		"dns://jarvis?admin=9090":            "dns://jarvis:8080?admin=9090",
		"dns://jarvis:8080":                  "dns://jarvis:8080?admin=9090",
		"dns://:8080?admin=9090":             "dns://jarvis:8080?admin=9090",
		"dns://jarvis:0?admin=9090":          "dns://jarvis:8080?admin=9090",
		"dns://jarvis:8080?admin=90900":      "dns://jarvis:8080?admin=9090",
		"dns://jarvis:8080?admin=1&admin=2":  "dns://jarvis:8080?admin=9090",
		"dns://jarvis:8080?admin=9090&x=1":   "dns://jarvis:8080?admin=9090",
		"dns://jarvis:8080?adnim=9090":       "dns://jarvis:8080?admin=9090",
		"dns://jarvis:8080/a?admin=9090":     "dns://jarvis:8080?admin=9090",
		"dns://u@jarvis:8080?admin=9090":     "dns://jarvis:8080?admin=9090",
		"kubernetes://dev/jarvis":            "?port=http",
		"kubernetes://dev/jarvis?port=":      "?port=http",
		"kubernetes://dev?port=http":         "?port=http",
		"kubernetes:///jarvis?port=http":     "?port=http",
		"kubernetes://dev/a/b?port=http":     "?port=http",
		"kubernetes://dev:80/a?port=http":    "?port=http",
		"kubernetes://dev/a?port=http&ns=de": "?port=http",
	} {
		_, err := discovery.Parse(text)
		require.ErrorIs(t, err, discovery.ErrLocation, text)
		require.ErrorContains(t, err, expected, text)
		require.NotContains(t, err.Error(), "\n", text)
	}
}

// open is as a program does that has a location from its flags.
func open(ctx context.Context, url string, log *slog.Logger) (discovery.Source, error) {
	l, err := discovery.Parse(url)
	if err != nil {
		return nil, err
	}
	return l.Open(ctx, log)
}

func TestOpenAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a file.json")
	log := slog.New(slog.DiscardHandler)
	url := discovery.File(path).String()
	source, err := open(t.Context(), url, log)
	require.ErrorContains(t, err, "must exist at the start")
	require.Nil(t, source)

	require.NoError(t, endpoints.WriteFile(path, endpoints.Set{Version: "7"}))
	ctx, cancel := context.WithCancel(context.Background())
	source, err = open(ctx, url, log)
	require.NoError(t, err)
	require.Equal(t, "7", source.Current().Version)
	changed := source.Changed()
	require.NoError(t, endpoints.WriteFile(path, endpoints.Set{Version: "8"}))
	<-changed
	require.Equal(t, "8", source.Current().Version)
	cancel()
	<-source.Done()
}

func TestOpenANameThatIsNoOnes(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	source, err := open(ctx, "dns://smaran.invalid:8080?admin=9090", slog.New(slog.DiscardHandler))
	require.NoError(t, err, "pods may come")
	require.Empty(t, source.Current().Endpoints)
	cancel()
	<-source.Done()
}

func TestOpenWhatCannotBeOpened(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	log := slog.New(slog.DiscardHandler)
	_, err := open(t.Context(), "kubernetes://dev/jarvis-service?port=http", log)
	require.ErrorIs(t, err, kubernetes.ErrNoCluster)
	_, err = discovery.Location{}.Open(t.Context(), log)
	require.ErrorIs(t, err, discovery.ErrLocation)
}
