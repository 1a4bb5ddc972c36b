package token

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/smaran-v2/smaran/services/session"
)

// Why Open refuses a token. All are the same to a request, which goes on as if it had none; metrics tell them apart.
var (
	// ErrMalformed: it is no token at all.
	ErrMalformed = errors.New("token: malformed")
	// ErrUnknownKey: none of the keys has the id it names, as after a rotation or a restart with random keys.
	ErrUnknownKey = errors.New("token: unknown key")
	// ErrForged: it was not made with the key it names.
	ErrForged = errors.New("token: forged")
	// ErrForeign: it is authentic, and another session's.
	ErrForeign = errors.New("token: another session's")
	// ErrExpired: it is authentic, this session's, and too old.
	ErrExpired = errors.New("token: expired")
)

const (
	version    = 1
	expirySize = 8
	digestSize = 16
	// maxToken bounds what Open decodes, in bytes of text. A sealed address is about 130.
	maxToken = 1024
)

// Sealer seals with its first key and opens with all of them. It is safe for concurrent use.
type Sealer struct {
	sealing string
	aeads   map[string]cipher.AEAD
	ttl     time.Duration
	clock   clockwork.Clock
}

// NewSealer returns a sealer whose tokens live ttl. To rotate keys, put a new one first and leave the old one for as long as its
// tokens live. It fails with ErrKeys.
func NewSealer(keys []Key, ttl time.Duration, clock clockwork.Clock) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: expected at least one", ErrKeys)
	}
	if ttl < time.Second {
		return nil, fmt.Errorf("%w: tokens that live %s: expected a second or more", ErrKeys, ttl)
	}
	aeads := make(map[string]cipher.AEAD, len(keys))
	for i, k := range keys {
		switch {
		case k.ID == "" || len(k.ID) > maxKeyID:
			return nil, fmt.Errorf("%w: id of key %d has %d bytes: expected 1 to %d", ErrKeys, i+1, len(k.ID), maxKeyID)
		case len(k.Secret) != KeySize:
			return nil, fmt.Errorf("%w: key %q has %d bytes: expected %d", ErrKeys, k.ID, len(k.Secret), KeySize)
		case aeads[k.ID] != nil:
			return nil, fmt.Errorf("%w: two keys have the id %q", ErrKeys, k.ID)
		}
		block, err := aes.NewCipher(k.Secret)
		if err != nil {
			return nil, fmt.Errorf("%w: key %q: %w", ErrKeys, k.ID, err)
		}
		// A random nonce of 96 bits: good for 2^32 tokens a key (NIST SP 800-38D section 8.3).
		if aeads[k.ID], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("%w: key %q: %w", ErrKeys, k.ID, err)
		}
	}
	return &Sealer{sealing: keys[0].ID, aeads: aeads, ttl: ttl, clock: clock}, nil
}

// TTL is how long a token lives.
func (s *Sealer) TTL() time.Duration { return s.ttl }

// Seal makes a token that gives value back to the same session until it expires.
func (s *Sealer) Seal(id session.ID, value string) string {
	header := make([]byte, 0, 2+len(s.sealing)+expirySize+digestSize)
	header = append(header, version, byte(len(s.sealing)))
	header = append(header, s.sealing...)
	header = binary.BigEndian.AppendUint64(header, uint64(s.clock.Now().Add(s.ttl).Unix()))
	header = append(header, digest(id)...)
	sealed := s.aeads[s.sealing].Seal(bytes.Clone(header), nil, []byte(value), header)
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// Opened is what a token held.
type Opened struct {
	Value string
	// Left is how long the token still lives.
	Left time.Duration
}

// Open gives back what was sealed for id, or one of this package's errors.
func (s *Sealer) Open(id session.ID, text string) (Opened, error) {
	if len(text) > maxToken {
		return Opened{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(text))
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return Opened{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(raw) < 2 || raw[0] != version {
		return Opened{}, fmt.Errorf("%w: no version %d", ErrMalformed, version)
	}
	idEnd := 2 + int(raw[1])
	headerEnd := idEnd + expirySize + digestSize
	if len(raw) < headerEnd {
		return Opened{}, fmt.Errorf("%w: cut short", ErrMalformed)
	}
	aead := s.aeads[string(raw[2:idEnd])]
	if aead == nil {
		return Opened{}, ErrUnknownKey
	}
	header := raw[:headerEnd]
	value, err := aead.Open(nil, nil, raw[headerEnd:], header)
	if err != nil {
		return Opened{}, ErrForged
	}
	if !bytes.Equal(header[idEnd+expirySize:], digest(id)) {
		return Opened{}, ErrForeign
	}
	expiry := time.Unix(int64(binary.BigEndian.Uint64(header[idEnd:])), 0)
	left := expiry.Sub(s.clock.Now())
	if left <= 0 {
		return Opened{}, ErrExpired
	}
	return Opened{Value: string(value), Left: left}, nil
}

func digest(id session.ID) []byte {
	sum := sha256.Sum256([]byte(id))
	return sum[:digestSize]
}
