package endpoints_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/endpoints"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sample() endpoints.Set {
	return endpoints.Set{Version: "7", Endpoints: []endpoints.Endpoint{
		{Pod: "jarvis-2", Address: "127.0.0.4:8080", Health: endpoints.Healthy},
		{Pod: "jarvis-0", Address: "127.0.0.2:8080", Health: endpoints.Draining},
		{Pod: "jarvis-1", Address: "[::1]:8080", Weight: 3, HashKey: "first"},
		{Address: "127.0.0.5:8080", Health: endpoints.Degraded},
		{Address: "127.0.0.6:8080", Health: endpoints.Unhealthy},
		{Address: "127.0.0.7:8080", Health: endpoints.Timeout},
	}}
}

func TestMarshalMatchesTheGoldenFile(t *testing.T) {
	want, err := os.ReadFile("testdata/eds.json")
	require.NoError(t, err)
	got, err := sample().Marshal()
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), string(got)))
	parsed, err := endpoints.Parse(want)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(sample(), parsed))
}

func TestHostsAreThoseInRotationInOrder(t *testing.T) {
	require.Equal(t, []affinity.Host{
		{Address: "127.0.0.4:8080"},
		{Address: "[::1]:8080", Weight: 3, HashKey: "first"},
	}, sample().Hosts())
	require.Empty(t, endpoints.Set{Endpoints: []endpoints.Endpoint{{Address: "127.0.0.1:1", Health: endpoints.Draining}}}.Hosts())
}

func TestLookup(t *testing.T) {
	e, ok := sample().Lookup("jarvis-0")
	require.True(t, ok)
	require.Equal(t, "127.0.0.2:8080", e.Address)
	_, ok = sample().Lookup("jarvis-9")
	require.False(t, ok)
	e, ok = sample().LookupAddress("[::1]:8080")
	require.True(t, ok)
	require.Equal(t, "jarvis-1", e.Pod)
	_, ok = sample().LookupAddress("[::1]:8081")
	require.False(t, ok)
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "endpoints")
		set := endpoints.Set{Version: rapid.StringMatching(`[0-9]{0,5}`).Draw(t, "version")}
		for i := range n {
			host := fmt.Sprintf("10.0.0.%d:%d", i, rapid.IntRange(1, 65535).Draw(t, "port"))
			if rapid.Bool().Draw(t, "v6") {
				host = fmt.Sprintf("[fd00::%x]:80", i+1)
			}
			set.Endpoints = append(set.Endpoints, endpoints.Endpoint{
				Pod:     fmt.Sprintf("jarvis-%d", i),
				Address: host,
				Health:  endpoints.Health(rapid.Int32Range(0, 5).Draw(t, "health")),
				Weight:  rapid.Uint32().Draw(t, "weight"),
				HashKey: rapid.String().Draw(t, "key"),
			})
		}
		b, err := set.Marshal()
		require.NoError(t, err)
		parsed, err := endpoints.Parse(b)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(set, parsed))
	})
}

func TestParseTakesWhatMeansTheSame(t *testing.T) {
	set, err := endpoints.Parse([]byte(`{"resources":[{
		"@type":"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment","clusterName":"jarvis",
		"endpoints":[{"locality":{"zone":"a"},"lbEndpoints":[{"endpoint":{"address":{"socketAddress":
			{"protocol":"TCP","address":"0:0:0:0:0:0:0:1","portValue":80}}}}]}]}]}`))
	require.NoError(t, err)
	require.Equal(t, []endpoints.Endpoint{{Address: "[::1]:80"}}, set.Endpoints)
	set, err = endpoints.Parse([]byte(`{"resources":[{
		"@type":"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment","cluster_name":"jarvis"}]}`))
	require.NoError(t, err)
	require.Empty(t, set.Endpoints)
}

func TestParseSaysWhatItExpected(t *testing.T) {
	const endpoint = `{"endpoint":{"address":{"socket_address":{"address":"127.0.0.1","port_value":80}}}}`
	eds := func(assignment string) string {
		return `{"resources":[{"@type":"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",` + assignment + `}]}`
	}
	list := func(endpoints string) string {
		return eds(`"cluster_name":"jarvis","endpoints":[{"lb_endpoints":[` + endpoints + `]}]`)
	}
	_, err := endpoints.Parse([]byte(list(endpoint)))
	require.NoError(t, err, "the cases below differ from a valid one by what they name")

	for name, c := range map[string]struct{ file, want string }{
		"not JSON":          {`resources: []`, "want an EDS v3 DiscoveryResponse in JSON"},
		"unknown field":     {`{"ressources":[]}`, "want an EDS v3 DiscoveryResponse in JSON"},
		"no resource":       {`{}`, `0 resources, want one ClusterLoadAssignment for cluster "jarvis"`},
		"other type":        {`{"resources":[{"@type":"type.googleapis.com/envoy.config.core.v3.Node"}]}`, "want \"type.googleapis.com/envoy.config.endpoint.v3"},
		"other type_url":    {strings.Replace(list(endpoint), "{", `{"type_url":"x",`, 1), `type_url is "x"`},
		"other cluster":     {eds(`"cluster_name":"j"`), `cluster_name is "j", want "jarvis"`},
		"two localities":    {eds(`"cluster_name":"jarvis","endpoints":[{},{}]`), "2 localities, want one"},
		"priority":          {eds(`"cluster_name":"jarvis","endpoints":[{"priority":1}]`), "only Envoy would act on"},
		"drop policy":       {eds(`"cluster_name":"jarvis","policy":{"overprovisioning_factor":100}`), "only Envoy would act on"},
		"health check port": {list(strings.Replace(endpoint, `"endpoint":{`, `"endpoint":{"health_check_config":{"port_value":1},`, 1)), "only Envoy would act on"},
		"UDP":               {list(strings.Replace(endpoint, `"address":"127`, `"protocol":"UDP","address":"127`, 1)), "only Envoy would act on"},
		"name":              {list(strings.Replace(endpoint, "127.0.0.1", "localhost", 1)), `lb_endpoints[0]: endpoints: not a list of pods: address "localhost", want an IPv4 or IPv6 address`},
		"zone":              {list(strings.Replace(endpoint, "127.0.0.1", "fe80::1%lo", 1)), "without a zone"},
		"pipe":              {list(`{"endpoint":{"address":{"pipe":{"path":"/x"}}}}`), "want endpoint.address.socket_address"},
		"port":              {list(strings.Replace(endpoint, "80", "65536", 1)), "port_value 65536 of 127.0.0.1, want 1 to 65535"},
		"status":            {list(strings.Replace(endpoint, "{", `{"health_status":17,`, 1)), "health_status 17"},
		"weight":            {list(strings.Replace(endpoint, "{", `{"load_balancing_weight":0,`, 1)), "want at least 1, or none"},
		"hash key":          {list(strings.Replace(endpoint, "{", `{"metadata":{"filter_metadata":{"envoy.lb":{"hash_key":1}}},`, 1)), "want a string"},
		"address twice":     {list(endpoint + "," + endpoint), "127.0.0.1:80 is there twice"},
		"pod twice": {list(strings.Replace(endpoint, `"endpoint":{`, `"endpoint":{"hostname":"a",`, 1) + "," +
			strings.NewReplacer(`"endpoint":{`, `"endpoint":{"hostname":"a",`, "127.0.0.1", "127.0.0.2").Replace(endpoint)), `hostname "a" is there twice`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := endpoints.Parse([]byte(c.file))
			require.ErrorIs(t, err, endpoints.ErrInvalid)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestMarshalRefusesWhatParseWould(t *testing.T) {
	for name, e := range map[string]endpoints.Endpoint{
		"no address":  {},
		"no port":     {Address: "127.0.0.1"},
		"port 0":      {Address: "127.0.0.1:0"},
		"long form":   {Address: "[0::1]:80"},
		"host name":   {Address: "localhost:80"},
		"bad health":  {Address: "127.0.0.1:80", Health: 9},
		"bad hashkey": {Address: "127.0.0.1:80", HashKey: "\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := endpoints.Set{Endpoints: []endpoints.Endpoint{e}}.Marshal()
			require.ErrorIs(t, err, endpoints.ErrInvalid)
		})
	}
}

func TestWriteFileLeavesOneReadableFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eds.json")
	for range 2 {
		require.NoError(t, endpoints.WriteFile(path, sample()))
	}
	got, err := endpoints.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(sample(), got))
	list, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, list, 1, "temporary files stay behind")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())

	require.Error(t, endpoints.WriteFile(path, endpoints.Set{Endpoints: []endpoints.Endpoint{{}}}))
	require.Error(t, endpoints.WriteFile(filepath.Join(path, "below-a-file"), sample()))
	_, err = endpoints.ReadFile(path + ".missing")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzParse(f *testing.F) {
	seed, err := sample().Marshal()
	require.NoError(f, err)
	f.Add(seed)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := endpoints.Parse(b)
		if err != nil {
			require.ErrorIs(t, err, endpoints.ErrInvalid)
			return
		}
		again, err := set.Marshal()
		require.NoError(t, err, "what was parsed can be written")
		require.True(t, json.Valid(again))
		parsed, err := endpoints.Parse(again)
		require.NoError(t, err)
		require.Equal(t, set, parsed)
	})
}

// fleet is a set of n healthy pods.
func fleet(version, n int) endpoints.Set {
	set := endpoints.Set{Version: fmt.Sprint(version)}
	for i := range n {
		set.Endpoints = append(set.Endpoints, endpoints.Endpoint{
			Pod: fmt.Sprintf("jarvis-%d", i), Address: fmt.Sprintf("127.0.0.%d:8080", i+2), Health: endpoints.Healthy})
	}
	rand.New(rand.NewPCG(uint64(version), 0)).Shuffle(n, func(i, j int) {
		set.Endpoints[i], set.Endpoints[j] = set.Endpoints[j], set.Endpoints[i]
	})
	return set
}
