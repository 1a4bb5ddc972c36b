package token_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/session"
	"github.com/smaran-v2/smaran/services/smaran/token"
)

func key(id string, fill byte) token.Key {
	return token.Key{ID: id, Secret: []byte(strings.Repeat(string(rune(fill)), token.KeySize))}
}

func sealer(t testing.TB, clock clockwork.Clock, keys ...token.Key) *token.Sealer {
	t.Helper()
	s, err := token.NewSealer(keys, time.Hour, clock)
	require.NoError(t, err)
	return s
}

func TestOnlyItsOwnSessionOpensAToken(t *testing.T) {
	s := sealer(t, clockwork.NewFakeClock(), key("k", 'a'))
	sealed := s.Seal("mine", "10.0.0.1:8080")
	got, err := s.Open("mine", sealed)
	require.NoError(t, err)
	require.Equal(t, "10.0.0.1:8080", got.Value)
	require.InDelta(t, time.Hour, got.Left, float64(time.Second))
	_, err = s.Open("other", sealed)
	require.ErrorIs(t, err, token.ErrForeign)
	require.NotContains(t, sealed, affinity.EncodeHeader("10.0.0.1:8080"))
	require.NotEqual(t, sealed, s.Seal("mine", "10.0.0.1:8080"), "two tokens of one value do not show that they are")
}

func TestTokenExpires(t *testing.T) {
	clock := clockwork.NewFakeClock()
	s := sealer(t, clock, key("k", 'a'))
	sealed := s.Seal("s", "v")
	clock.Advance(time.Hour - 2*time.Second)
	_, err := s.Open("s", sealed)
	require.NoError(t, err)
	clock.Advance(2 * time.Second)
	_, err = s.Open("s", sealed)
	require.ErrorIs(t, err, token.ErrExpired)
	_, err = s.Open("other", sealed)
	require.ErrorIs(t, err, token.ErrForeign, "whose it is weighs more than how old")
}

func TestRotation(t *testing.T) {
	clock := clockwork.NewFakeClock()
	before := sealer(t, clock, key("old", 'a'))
	during := sealer(t, clock, key("new", 'b'), key("old", 'a'))
	after := sealer(t, clock, key("new", 'b'))
	old, fresh := before.Seal("s", "v"), during.Seal("s", "v")

	_, err := during.Open("s", old)
	require.NoError(t, err)
	_, err = after.Open("s", fresh)
	require.NoError(t, err, "the first key seals")
	_, err = after.Open("s", old)
	require.ErrorIs(t, err, token.ErrUnknownKey)
	_, err = sealer(t, clock, key("old", 'z')).Open("s", old)
	require.ErrorIs(t, err, token.ErrForged, "another secret under the same id")
}

func TestEveryChangedBitIsSeen(t *testing.T) {
	s := sealer(t, clockwork.NewFakeClock(), key("k", 'a'))
	raw, err := base64.RawURLEncoding.DecodeString(s.Seal("s", "v"))
	require.NoError(t, err)
	for i := range len(raw) * 8 {
		changed := append([]byte(nil), raw...)
		changed[i/8] ^= 1 << (i % 8)
		_, err := s.Open("s", base64.RawURLEncoding.EncodeToString(changed))
		require.Error(t, err, "bit %d", i)
		require.NotErrorIs(t, err, token.ErrForeign, "bit %d: a changed digest is forged, not foreign", i)
		require.NotErrorIs(t, err, token.ErrExpired, "bit %d", i)
	}
}

func TestWhatAClientMakesUpIsRefused(t *testing.T) {
	s := sealer(t, clockwork.NewFakeClock(), key("k", 'a'))
	whole := s.Seal("s", "v")
	for name, text := range map[string]string{
		"empty":                "",
		"Envoy's header token": affinity.EncodeHeader("10.0.0.1:8080"),
		"Envoy's cookie token": affinity.EncodeCookie("10.0.0.1:8080", 0),
		"padded":               whole + "=",
		"cut":                  whole[:8],
		"too long":             strings.Repeat("A", 4096),
		"other version":        "Ag" + whole[2:],
		"not base64":           "!!",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Open("s", text)
			require.ErrorIs(t, err, token.ErrMalformed)
		})
	}
}

func TestSealAndOpenAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := token.NewSealer([]token.Key{token.RandomKey(rapid.StringMatching(`[a-z0-9]{1,32}`).Draw(t, "key"))},
			time.Hour, clockwork.NewFakeClock())
		require.NoError(t, err)
		id := session.ID(rapid.StringMatching(`[A-Za-z0-9._~-]{1,128}`).Draw(t, "session"))
		value := rapid.StringN(0, 200, 400).Draw(t, "value")
		got, err := s.Open(id, s.Seal(id, value))
		require.NoError(t, err)
		require.Equal(t, value, got.Value)
	})
}

func TestParseKeys(t *testing.T) {
	a, b := key("a", 'a'), key("b", 'b')
	encode := func(k token.Key) string { return k.ID + ":" + base64.StdEncoding.EncodeToString(k.Secret) }
	got, err := token.ParseKeys(encode(a) + "," + encode(b))
	require.NoError(t, err)
	require.Equal(t, []token.Key{a, b}, got)
	none, err := token.ParseKeys("")
	require.NoError(t, err)
	require.Empty(t, none)
	for _, bad := range []string{"a", "a:!", ",", encode(a) + ","} {
		_, err := token.ParseKeys(bad)
		require.ErrorIs(t, err, token.ErrKeys, bad)
	}
}

func TestNewSealerRefusesWeakKeys(t *testing.T) {
	clock := clockwork.NewFakeClock()
	for name, keys := range map[string][]token.Key{
		"none":    nil,
		"no id":   {key("", 'a')},
		"long id": {key(strings.Repeat("k", 33), 'a')},
		"short":   {{ID: "k", Secret: make([]byte, 16)}},
		"twice":   {key("k", 'a'), key("k", 'b')},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := token.NewSealer(keys, time.Hour, clock)
			require.ErrorIs(t, err, token.ErrKeys)
		})
	}
	_, err := token.NewSealer([]token.Key{key("k", 'a')}, 0, clock)
	require.ErrorIs(t, err, token.ErrKeys, "tokens that expire at once")
}

func FuzzOpen(f *testing.F) {
	clock := clockwork.NewFakeClock()
	s := sealer(f, clock, key("k", 'a'))
	other := sealer(f, clock, key("k", 'b'))
	f.Add("s", other.Seal("s", "10.0.0.1:8080"))
	f.Add("s", affinity.EncodeHeader("10.0.0.1:8080"))
	f.Add("s", "")
	f.Add("s", base64.RawURLEncoding.EncodeToString([]byte{1, 255}))
	f.Fuzz(func(t *testing.T, id, text string) {
		// Nothing here was sealed with this sealer's key.
		_, err := s.Open(session.ID(id), text)
		require.Error(t, err)
	})
}
