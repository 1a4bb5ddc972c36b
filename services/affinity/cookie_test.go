package affinity_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
)

func TestCookieValue(t *testing.T) {
	cases := []struct {
		name    string
		headers []string
		want    string
	}{
		{"none", nil, ""},
		{"only", []string{"jarvis=v"}, "v"},
		{"among others", []string{"a=1; jarvis=v; b=2"}, "v"},
		{"second header", []string{"a=1", "jarvis=v"}, "v"},
		{"first wins", []string{"jarvis=v; jarvis=w"}, "v"},
		{"first wins though empty", []string{"jarvis=; jarvis=w"}, ""},
		{"quoted", []string{`jarvis="v=="`}, "v=="},
		{"one quote is part of the value", []string{`jarvis="v`}, `"v`},
		{"equals signs in the value", []string{"jarvis=Cg0=="}, "Cg0=="},
		{"name is exact", []string{"Jarvis=v; xjarvis=v; jarvis =v"}, ""},
		{"malformed parts are skipped", []string{"; ;x;jarvis;jarvis=v"}, "v"},
		{"trailing space stays", []string{"jarvis=v ; a=1"}, "v "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, affinity.CookieValue(c.headers, "jarvis"))
		})
	}
}

func TestFormatSetCookie(t *testing.T) {
	require.Equal(t, `jarvis="v=="; HttpOnly`, affinity.FormatSetCookie("jarvis", "v==", "", 0))
	require.Equal(t, `jarvis="v=="; Max-Age=90; Path=/; HttpOnly`,
		affinity.FormatSetCookie("jarvis", "v==", "/", 90*time.Second+time.Millisecond))

	parsed, err := http.ParseSetCookie(affinity.FormatSetCookie("jarvis", "v==", "/", time.Minute))
	require.NoError(t, err)
	require.Equal(t, "v==", parsed.Value)
	require.Equal(t, 60, parsed.MaxAge)
}

func TestGenerateCookieValue(t *testing.T) {
	const local = "127.0.0.1:8080"
	for port := range 100 {
		remote := fmt.Sprint("127.0.0.1:", 40_000+port)
		value := affinity.GenerateCookieValue(remote, local)
		require.Regexp(t, "^[0-9a-f]{16}$", value)
		hash, err := strconv.ParseUint(value, 16, 64)
		require.NoError(t, err)
		require.Equal(t, affinity.HashValue(remote+local), hash)
	}
}
