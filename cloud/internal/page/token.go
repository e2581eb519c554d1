package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

const (
	tagSize    = 8
	maxWaybill = 32
)

// Tokens makes and opens tokens.
type Tokens struct{ tag, mask []byte }

// NewTokens takes the county's key, of at least 32 bytes.
func NewTokens(key []byte) *Tokens {
	return &Tokens{tag: sum(key, "page tag"), mask: sum(key, "page mask")}
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Token is the token of a waybill of 1 to 32 bytes.
func (t *Tokens) Token(waybill string) string {
	tag := sum(t.tag, waybill)[:tagSize]
	return base64.RawURLEncoding.EncodeToString(append(tag, t.masked(tag, []byte(waybill))...))
}

func (t *Tokens) masked(tag, text []byte) []byte {
	stream := sum(t.mask, string(tag))
	out := make([]byte, len(text))
	for i := range text {
		out[i] = text[i] ^ stream[i]
	}
	return out
}

// Open returns the waybill of a token.
func (t *Tokens) Open(token string) (waybill string, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) <= tagSize || len(b) > tagSize+maxWaybill {
		return "", false
	}
	text := t.masked(b[:tagSize], b[tagSize:])
	if !hmac.Equal(sum(t.tag, string(text))[:tagSize], b[:tagSize]) {
		return "", false
	}
	return string(text), true
}
