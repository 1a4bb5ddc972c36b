package affinity_test

import (
	"encoding/base64"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
)

func TestTokensGolden(t *testing.T) {
	v := golden(t)
	for _, c := range v.HeaderTokens {
		require.Equal(t, c.Token, affinity.EncodeHeader(c.Address))
		addr, ok := affinity.DecodeHeader(c.Token)
		require.True(t, ok)
		require.Equal(t, c.Address, addr)
	}
	for _, c := range v.CookieTokens {
		require.Equal(t, c.Token, affinity.EncodeCookie(c.Address, c.Expires))
		addr, expires, ok := affinity.DecodeCookie(c.Token)
		require.True(t, ok)
		require.Equal(t, c.Address, addr)
		require.Equal(t, c.Expires, expires)
	}
}

func TestDecodeHeaderRefuses(t *testing.T) {
	for name, token := range map[string]string{
		"empty":         "",
		"no padding":    "MTAuMC4wLjE6ODA4MA",
		"one pad short": "MTAuMC4wLjE6ODA4MA=",
		"trailing bits": "MTAuMC4wLjE6ODA4MB==",
		"line break":    "MTAu\nMC4wLjE6ODA4MA==",
		"url alphabet":  "_-__",
		"space":         "MTAu MC4wLjE6ODA4MA==",
		"only padding":  "====",
		"plain address": "10.0.0.1:8080",
	} {
		addr, ok := affinity.DecodeHeader(token)
		require.False(t, ok, name)
		require.Empty(t, addr, name)
	}
	_, ok := affinity.DecodeHeader("MTAuMC4wLjE6ODA4MA==")
	require.True(t, ok, "the control")
}

func TestDecodeCookie(t *testing.T) {
	cases := []struct {
		name    string
		raw     string
		addr    string
		expires uint64
		ok      bool
	}{
		{"address", "\x0a\x03a:1", "a:1", 0, true},
		{"address and expires", "\x0a\x03a:1\x10\x2a", "a:1", 42, true},
		{"expires first", "\x10\x2a\x0a\x03a:1", "a:1", 42, true},
		{"last of two addresses", "\x0a\x03a:1\x0a\x03b:2", "b:2", 0, true},
		{"unknown field", "\x0a\x03a:1\x1a\x01x", "a:1", 0, true},
		{"known field of another type is unknown", "\x08\x01\x12\x01x", "", 0, false},
		{"no address", "\x10\x2a", "", 0, false},
		{"empty address", "\x0a\x00", "", 0, false},
		{"cut short is a bare address", "\x0a\x09a:1", "\x0a\x09a:1", 0, true},
		{"not UTF-8 is a bare address", "\x0a\x01\xff", "\x0a\x01\xff", 0, true},
		{"bare IPv6 address", "[::1]:80", "[::1]:80", 0, true},
		// '1' is the tag of field 6 as a fixed64, which takes "0.0.0.1:"; "80" and "80" are field 7, twice.
		{"bare IPv4 address that is a message", "10.0.0.1:8080", "", 0, false},
		{"bare IPv4 address that is none", "10.0.0.1:808", "10.0.0.1:808", 0, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			addr, expires, ok := affinity.DecodeCookie(base64.StdEncoding.EncodeToString([]byte(c.raw)))
			require.Equal(t, c.ok, ok)
			require.Equal(t, c.addr, addr)
			require.Equal(t, c.expires, expires)
		})
	}
	for _, token := range []string{"", "\"Cg0xMC4wLjAuMTo4MDgw\"", "Cg0xMC4wLjAuMTo4MDg"} {
		_, _, ok := affinity.DecodeCookie(token)
		require.False(t, ok, "%q is not base64", token)
	}
}

func FuzzHeaderToken(f *testing.F) {
	f.Add("10.0.0.1:8080")
	f.Add("[2001:db8::1]:80")
	f.Add("")
	f.Fuzz(func(t *testing.T, addr string) {
		got, ok := affinity.DecodeHeader(affinity.EncodeHeader(addr))
		require.Equal(t, addr != "", ok)
		require.Equal(t, addr, got)
	})
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add("MTAuMC4wLjE6ODA4MA==")
	f.Add("MTAuMC4wLjE6ODA4MA")
	f.Add("====")
	f.Fuzz(func(t *testing.T, token string) {
		addr, ok := affinity.DecodeHeader(token)
		if !ok {
			require.Empty(t, addr)
			return
		}
		require.Equal(t, token, affinity.EncodeHeader(addr), "only one token means an address")
	})
}

func FuzzCookieToken(f *testing.F) {
	f.Add("10.0.0.1:8080", uint64(0))
	f.Add("[2001:db8::1]:80", uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, addr string, expires uint64) {
		token := affinity.EncodeCookie(addr, expires)
		got, gotExpires, ok := affinity.DecodeCookie(token)
		switch {
		case addr == "":
			require.False(t, ok)
		case got != addr:
			raw, err := base64.StdEncoding.DecodeString(token)
			require.NoError(t, err)
			require.Equal(t, string(raw), got, "what is not UTF-8 is no message, so the whole token is the address")
			require.NotEqual(t, []byte(addr), []byte(string([]rune(addr))), "and only that")
		default:
			require.True(t, ok)
			require.Equal(t, expires, gotExpires)
		}
	})
}

func FuzzDecodeCookie(f *testing.F) {
	f.Add("Cg0xMC4wLjAuMTo4MDgw")
	f.Add("Cg0xMC4wLjAuMTo4MDgwECo=")
	f.Add("MTAuMC4wLjE6ODA4MA==")
	f.Add("Cw==")
	f.Fuzz(func(t *testing.T, token string) {
		addr, expires, ok := affinity.DecodeCookie(token)
		require.Equal(t, ok, addr != "")
		if !ok {
			require.Zero(t, expires)
		}
	})
}
