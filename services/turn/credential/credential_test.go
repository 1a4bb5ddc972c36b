package credential_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/turn/credential"
)

var secret = []byte("north")

// TestTheSchemeIsTheUsualOne: the password was made with openssl dgst -sha1 -hmac north -binary | base64.
func TestTheSchemeIsTheUsualOne(t *testing.T) {
	c, err := credential.Mint(secret, "alice", time.Unix(1433895918, 0))
	require.NoError(t, err)
	require.Equal(t, credential.Credential{Username: "1433895918:alice", Password: "RqMvcGPYTJMGThVLSi4amT4zFtI="}, c)
	expires, user, err := credential.Parse(c.Username)
	require.NoError(t, err)
	require.Equal(t, "alice", user)
	require.True(t, expires.Equal(time.Unix(1433895918, 0)))
}

func TestNamesThatAreNotOfTheScheme(t *testing.T) {
	for _, name := range []string{
		"", "1433895918", ":", ":alice", "1433895918:", "-1:alice", "+1:alice", "01:alice", "1.5:alice", " 1:alice", "0x1:alice",
		"9223372036854775808:alice", "253402300800:alice", "1:al ice", "1:al\x00ice", "1:\u00e9", "1:" + strings.Repeat("a", 129),
	} {
		_, _, err := credential.Parse(name)
		require.ErrorIs(t, err, credential.ErrUsername, "%q", name)
	}
	_, user, err := credential.Parse("1:a:b")
	require.NoError(t, err)
	require.Equal(t, "a:b", user, "the first colon ends the expiry")
	_, err = credential.Mint(secret, "", time.Unix(1, 0))
	require.ErrorIs(t, err, credential.ErrUsername)
}

func TestAUserDoesNotTellTheSession(t *testing.T) {
	one, other := credential.User(secret, "room-42"), credential.User(secret, "room-43")
	require.NotContains(t, one, "room")
	require.NotEqual(t, one, other)
	require.Equal(t, one, credential.User(secret, "room-42"), "one session is one user")
	require.NotEqual(t, one, credential.User([]byte("south"), "room-42"), "who lacks the secret can't tell it from a guess")
	_, err := credential.Mint(secret, one, time.Unix(1, 0))
	require.NoError(t, err)
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"1433895918:alice", "1:a:b", "", ":", "01:a", "253402300799:a", "\xff:\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		expires, user, err := credential.Parse(name)
		if err != nil {
			require.ErrorIs(t, err, credential.ErrUsername)
			return
		}
		again, err := credential.Mint(secret, user, expires)
		require.NoError(t, err)
		require.Equal(t, name, again.Username, "a name is written in one way")
	})
}
