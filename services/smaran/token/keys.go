package token

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// KeySize is the length of a key, in bytes: AES-256.
const KeySize = 32

// maxKeyID is the longest id of a key, in bytes.
const maxKeyID = 32

// ErrKeys is returned for keys that can't be used, wrapped with the reason. It never holds key material.
var ErrKeys = errors.New("token: invalid keys")

// Key seals and opens tokens that name it.
type Key struct {
	// ID is 1 to 32 bytes, and stands in the clear in every token.
	ID string
	// Secret is KeySize random bytes.
	Secret []byte
}

// ParseKeys reads "id:base64,id:base64,…", the first being the one that seals. An empty string is no keys. It fails with
// ErrKeys.
func ParseKeys(s string) ([]Key, error) {
	if s == "" {
		return nil, nil
	}
	var keys []Key
	for i, part := range strings.Split(s, ",") {
		id, encoded, found := strings.Cut(part, ":")
		if !found {
			return nil, fmt.Errorf("%w: key %d has no colon: expected id:base64", ErrKeys, i+1)
		}
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("%w: key %d (%q) is not padded standard base64", ErrKeys, i+1, id)
		}
		keys = append(keys, Key{ID: id, Secret: secret})
	}
	return keys, nil
}

// RandomKey makes a key for one process's life.
func RandomKey(id string) Key {
	secret := make([]byte, KeySize)
	_, _ = rand.Read(secret) // never fails: it ends the program where there is no randomness
	return Key{ID: id, Secret: secret}
}
