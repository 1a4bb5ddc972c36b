package affinity

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of Envoy's Cookie message (extensions/http/stateful_session/cookie/cookie.proto).
const (
	cookieAddress protowire.Number = 1
	cookieExpires protowire.Number = 2
)

// EncodeHeader is the token of the header mode of Envoy's stateful session filter: padded standard base64 of "ip:port"
// (extensions/http/stateful_session/header/header.cc).
func EncodeHeader(addr string) string {
	return base64.StdEncoding.EncodeToString([]byte(addr))
}

// DecodeHeader returns the address in a header token, or false where Envoy finds none: v is empty or not padded
// standard base64. The address is whatever was encoded; Envoy looks it up among its hosts and so must the caller.
func DecodeHeader(v string) (addr string, ok bool) {
	decoded, ok := decodeBase64(v)
	return string(decoded), ok
}

// EncodeCookie is the token of the cookie mode: base64 of Cookie{address, expires}, without quotes
// (extensions/http/stateful_session/cookie/cookie.cc). expires is in seconds since 1970,
// as a running Envoy 1.40 writes and judges it (older ones counted from the machine's start); 0 means never and is left
// out.
func EncodeCookie(addr string, expires uint64) string {
	b := protowire.AppendTag(nil, cookieAddress, protowire.BytesType)
	b = protowire.AppendString(b, addr)
	if expires != 0 {
		b = protowire.AppendTag(b, cookieExpires, protowire.VarintType)
		b = protowire.AppendVarint(b, expires)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// DecodeCookie returns what a cookie token, without its quotes, holds, or false where Envoy finds no address. It does
// not judge expires (see EncodeCookie), whose clock depends on Envoy's version.
//
// What is base64 but not a Cookie message counts as a bare address, as older Envoys wrote it. Most bare addresses
// happen to be messages of unknown fields though, and so select no host, in Envoy as here.
func DecodeCookie(v string) (addr string, expires uint64, ok bool) {
	decoded, ok := decodeBase64(v)
	if !ok {
		return "", 0, false
	}
	addr, expires, ok = parseCookie(decoded)
	if !ok {
		return string(decoded), 0, true
	}
	if addr == "" {
		return "", 0, false
	}
	return addr, expires, true
}

// parseCookie is Cookie.ParseFromString: the last of a repeated field wins, a known field of another wire type
// is an unknown one, and a string is UTF-8.
func parseCookie(b []byte) (addr string, expires uint64, ok bool) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return "", 0, false
		}
		b = b[n:]
		switch {
		case num == cookieAddress && typ == protowire.BytesType:
			var value []byte
			if value, n = protowire.ConsumeBytes(b); n >= 0 && !utf8.Valid(value) {
				return "", 0, false
			}
			addr = string(value)
		case num == cookieExpires && typ == protowire.VarintType:
			expires, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return "", 0, false
		}
		b = b[n:]
	}
	return addr, expires, true
}

// decodeBase64 is Base64::decode of common/common/base64.cc, which takes padding for required, trailing bits for
// zero, and nothing for an error.
func decodeBase64(v string) ([]byte, bool) {
	// The standard library skips line breaks.
	if strings.ContainsAny(v, "\r\n") {
		return nil, false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(v)
	if err != nil || len(b) == 0 {
		return nil, false
	}
	return b, true
}
