package backend

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// sealLen is how many bytes of the HMAC are sent: nobody finds 128 bits by trying. In base64 they are 22 characters, all of which may
// stand in a cookie.
const sealLen = 16

// seal returns what stands for a server's value in a signed cookie: an HMAC of it under the key, which tells a client neither the value
// nor that of any other server. The name of the cookie is part of it, so that the value of one cookie is none of another. Values that are
// equal stay so, for servers that share one; the empty one, by which holders lose their cookie, stays empty.
func seal(key []byte, name, value string) string {
	if value == "" {
		return ""
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(name))
	h.Write([]byte{0}) // in no name
	h.Write([]byte(value))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:sealLen])
}

// signingKey returns the key of a signed cookie: the block's own secret, or the one of the process.
func (c *Cookie) signingKey(ofProcess []byte) []byte {
	if c.Secret != "" {
		return []byte(c.Secret)
	}
	return ofProcess
}

// names reports whether the value a client has sent is the one of a server. That of a signed cookie is compared in a time that does not
// tell how much of it was right.
func (p *persistence) names(sent []byte, value string) bool {
	if p.Signed {
		return subtle.ConstantTimeCompare(sent, []byte(value)) == 1
	}
	return string(sent) == value
}
