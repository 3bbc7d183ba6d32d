package frontend

import (
	"crypto/rand"
	"encoding/hex"
	"errors"

	"github.com/quic-go/quic-go"
)

const (
	tagLen = 4
	// connIDLen is the length of the connection IDs we choose. It is that of few clients' first ones (RFC 9000 7.2 asks for 8 at least, and
	// that is what they take).
	connIDLen = tagLen + 8
)

// connTag begins every connection ID of a UDP side: the packets of its connections are known by it when another process reads the socket. It
// tells two connections apart no more than the address does.
type connTag [tagLen]byte

// newTag returns a tag that is nobody else's.
func newTag() (t connTag) {
	rand.Read(t[:])
	return t
}

func (t connTag) String() string { return hex.EncodeToString(t[:]) }

var errNoTag = errors.New("not the name of a process that serves HTTP/3")

// parseTag is the reverse of String.
func parseTag(s string) (t connTag, err error) {
	if n, err := hex.Decode(t[:], []byte(s[:min(len(s), 2*tagLen)])); err != nil || n != tagLen || len(s) != 2*tagLen {
		return connTag{}, errNoTag
	}
	return t, nil
}

// GenerateConnectionID is quic.ConnectionIDGenerator's.
func (t connTag) GenerateConnectionID() (quic.ConnectionID, error) {
	var b [connIDLen]byte
	copy(b[:], t[:])
	rand.Read(b[tagLen:])
	return quic.ConnectionIDFromBytes(b[:]), nil
}

// ConnectionIDLen is quic.ConnectionIDGenerator's.
func (t connTag) ConnectionIDLen() int { return connIDLen }

// tagIn returns the tag in the Destination Connection ID of a datagram's first packet, as it is in every version of QUIC (RFC 8999 5). It
// reports false where there can be none. Who has just come has chosen the ID itself: then the tag is nobody's.
func tagIn(b []byte) (t connTag, ok bool) {
	at := 1
	if len(b) > 0 && b[0]&0x80 != 0 { // a long header: the version, the length of the ID, and the ID
		if at = 6; len(b) < at || b[at-1] != connIDLen {
			return t, false
		}
	}
	if len(b) < at+connIDLen {
		return t, false
	}
	copy(t[:], b[at:])
	return t, true
}
