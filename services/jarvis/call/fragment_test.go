package call_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis/call"
)

// whip is the example of RFC 9725 section 4.3.2, with the credentials below the m= line.
const whip = "a=group:BUNDLE 0 1\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" +
	"a=mid:0\r\n" +
	"a=ice-ufrag:EsAw\r\n" +
	"a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n" +
	"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n" +
	"a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw network-id 2\r\n" +
	"a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw network-id 1\r\n" +
	"a=end-of-candidates\r\n"

func TestParseFragment(t *testing.T) {
	credentials := "a=ice-ufrag:EsAw\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\n"
	for name, tt := range map[string]struct {
		body string
		want []call.FragmentMedia
	}{
		"RFC 9725's example": {whip, []call.FragmentMedia{{
			MID: "0", Ufrag: "EsAw", Password: "P2uYro0UCOQ4zxjKXaWCBui1", End: true, Candidates: []string{
				"candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1",
				"candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw network-id 2",
				"candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw network-id 1",
			}}}},
		"credentials and end for the whole session, bare line feeds": {
			credentials + "a=end-of-candidates\nm=audio 9 RTP/AVP 0\na=mid:0\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:1",
			[]call.FragmentMedia{
				{MID: "0", Ufrag: "EsAw", Password: "P2uYro0UCOQ4zxjKXaWCBui1", End: true},
				{MID: "1", Ufrag: "EsAw", Password: "P2uYro0UCOQ4zxjKXaWCBui1", End: true},
			}},
		"unknown attributes are ignored": {
			"a=ice-options:trickle ice2\n" + credentials + "m=audio 9 RTP/AVP 0\na=mid:a1\na=rtcp-mux\na=new-thing",
			[]call.FragmentMedia{{MID: "a1", Ufrag: "EsAw", Password: "P2uYro0UCOQ4zxjKXaWCBui1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := call.ParseFragment(tt.body)
			require.NoError(t, err)
			require.Equal(t, tt.want, got.Media)
		})
	}
}

func TestParseFragmentIsStrict(t *testing.T) {
	line := func(old, replacement string) string {
		require.Contains(t, whip, old)
		return strings.Replace(whip, old, replacement, 1)
	}
	for name, tt := range map[string]struct{ body, want string }{
		"empty":                    {"", "no m-section"},
		"a whole description":      {"v=0\r\n" + whip, `line 1 "v=0"`},
		"blank line":               {whip + "\r\n", "expected a= or m="},
		"no m-section":             {"a=ice-ufrag:EsAw\r\n", "no m-section"},
		"m= without its fields":    {line(" 9 UDP/TLS/RTP/SAVPF 111", ""), "line 2"},
		"no mid":                   {line("a=mid:0\r\n", ""), "no a=mid"},
		"empty mid":                {line("a=mid:0", "a=mid:"), "line 3"},
		"mid twice":                {line("a=mid:0\r\n", "a=mid:0\r\na=mid:1\r\n"), "stands twice"},
		"mid before the m-section": {"a=mid:0\r\n" + whip, "below an m= line"},
		"two sections of one mid":  {whip + whip, "two m-sections"},
		"no ufrag":                 {line("a=ice-ufrag:EsAw\r\n", ""), "expected both"},
		"no password":              {line("a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n", ""), "expected both"},
		"short ufrag":              {line("a=ice-ufrag:EsAw", "a=ice-ufrag:EsA"), "line 4"},
		"short password":           {line("a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCB"), "line 5"},
		"ufrag of other letters":   {line("a=ice-ufrag:EsAw", "a=ice-ufrag:EsA w"), "line 4"},
		"ufrag twice":              {line("a=ice-ufrag:EsAw\r\n", "a=ice-ufrag:EsAw\r\na=ice-ufrag:EsAw\r\n"), "stands twice"},
		"candidate before m=":      {"a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n" + whip, "below an m= line"},
		"candidate after the end":  {whip + "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n", "after end-of-candidates"},
		"end twice":                {whip + "a=end-of-candidates\r\n", "stands twice"},
		"candidate cut short":      {line(" 61764 typ host", ""), "candidate:1387637174"},
		"candidate's port":         {line("61764", "99999"), "candidate:1387637174"},
		"candidate's other ufrag":  {line("ufrag EsAw network-id 1", "ufrag WsAe network-id 1"), `"WsAe"`},
		"too many candidates": {line("a=end-of-candidates", strings.Repeat("a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n", 200)),
			"at most 128"},
		"too long": {"a=" + strings.Repeat("x", 1<<17), "at most 65536"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := call.ParseFragment(tt.body)
			require.ErrorIs(t, err, call.ErrBadFragment)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// FuzzParseFragment: whatever comes, the parser does not panic, and what it accepts keeps its promises.
func FuzzParseFragment(f *testing.F) {
	f.Add(whip)
	f.Add(strings.ReplaceAll(whip, "\r\n", "\n"))
	f.Add("a=ice-ufrag:EsAw\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\nm=audio 9 RTP/AVP 0\na=mid:0\n")
	f.Add("m=\na=mid")
	f.Add("")
	f.Fuzz(func(t *testing.T, body string) {
		got, err := call.ParseFragment(body)
		if err != nil {
			require.ErrorIs(t, err, call.ErrBadFragment)
			return
		}
		require.NotEmpty(t, got.Media)
		mids := make(map[string]bool)
		for _, m := range got.Media {
			require.NotEmpty(t, m.MID)
			require.False(t, mids[m.MID])
			mids[m.MID] = true
			require.GreaterOrEqual(t, len(m.Ufrag), 4)
			require.GreaterOrEqual(t, len(m.Password), 22)
			for _, c := range m.Candidates {
				require.True(t, strings.HasPrefix(c, "candidate:"))
				require.NotContains(t, c, "\n")
			}
		}
	})
}
