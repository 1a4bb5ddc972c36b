package session_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/session"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want error
		code string
		says string
	}{
		"one byte":        {in: "a"},
		"every character": {in: "AZaz09._~-"},
		"longest":         {in: strings.Repeat("x", 128)},
		"empty":           {"", session.ErrEmpty, "session_empty", `received ""`},
		"too long":        {strings.Repeat("x", 129), session.ErrTooLong, "session_too_long", "129 bytes"},
		"space":           {"a b", session.ErrMalformed, "session_malformed", "byte 0x20 at position 1"},
		"comma":           {"a,b", session.ErrMalformed, "session_malformed", "position 1"},
		"not ASCII":       {"ü", session.ErrMalformed, "session_malformed", "byte 0xc3"},
		"slash":           {"../x", session.ErrMalformed, "session_malformed", "position 2"},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := session.Parse(tc.in)
			if tc.want == nil {
				require.NoError(t, err)
				require.Equal(t, tc.in, id.String())
				return
			}
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.says)
			var e *session.Error
			require.True(t, errors.As(err, &e))
			require.Equal(t, tc.code, e.Code)
			_, err = session.Parse(e.Example)
			require.NoError(t, err, "the example is valid")
		})
	}
}

func TestNewIsAUUIDv7AndParses(t *testing.T) {
	a, err := session.New()
	require.NoError(t, err)
	b, err := session.New()
	require.NoError(t, err)
	require.NotEqual(t, a, b)
	require.Less(t, a, b, "later sorts after earlier")
	require.Equal(t, uuid.Version(7), uuid.MustParse(a.String()).Version())
	_, err = session.Parse(a.String())
	require.NoError(t, err)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "a", "a b", strings.Repeat("é", 70), session.Example, "\x00", "a\r\nb: c"} {
		f.Add(seed)
	}
	grammar := regexp.MustCompile(`\A[A-Za-z0-9._~-]{1,128}\z`)
	f.Fuzz(func(t *testing.T, in string) {
		id, err := session.Parse(in)
		require.Equal(t, grammar.MatchString(in), err == nil)
		if err == nil {
			require.Equal(t, in, id.String())
			return
		}
		require.NotContains(t, err.Error(), "\n", "an error stays on one line whatever came")
		require.Less(t, len(err.Error()), 1200)
	})
}
