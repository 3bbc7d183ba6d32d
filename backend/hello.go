package backend

import (
	"crypto/rand"
	"encoding/binary"
	"strings"

	"gatehouse/backend/loop"
)

// message returns what the check says. It is made once, when the address is known.
func (r *round) message(a loop.Addr) []byte {
	switch r.c.Kind {
	case CheckTLS:
		return clientHello()
	case CheckTCP:
		return []byte(r.c.Send)
	}
	return r.c.request(a)
}

// authorityOf returns the Host of a server that nobody has a name for.
func authorityOf(a loop.Addr) string {
	if a.Path != "" {
		return "localhost"
	}
	return a.String()
}

// request returns the request of an "http" check: the line exactly as written, the version HTTP/1.0 unless it says otherwise. There
// is a Host line where the configuration has a host, and always in HTTP/1.1, which needs one (RFC 9112 3.2).
func (c *Check) request(a loop.Addr) []byte {
	line, host := c.Request, c.Host
	if line == "" {
		line = "OPTIONS / HTTP/1.0"
	}
	if strings.Count(line, " ") < 2 {
		line += " HTTP/1.0"
	}
	persistent := strings.HasSuffix(line, " HTTP/1.1")
	if host == "" && persistent {
		host = authorityOf(a)
	}
	s := line + "\r\n"
	if host != "" {
		s += "Host: " + host + "\r\n"
	}
	if persistent {
		s += "Connection: close\r\n"
	}
	return []byte(s + "\r\n")
}

// recordLen is the length of a TLS record's header (RFC 8446 5.1).
const recordLen = 5

// isRecord reports whether b begins like any TLS record: also an alert shows that somebody there speaks TLS.
func isRecord(b []byte) bool {
	const changeCipherSpec, applicationData = 0x14, 0x17
	return len(b) >= recordLen && b[0] >= changeCipherSpec && b[0] <= applicationData && b[1] == 3
}

// clientHello returns a TLS record with a ClientHello (RFC 8446 4.1.2) that TLS 1.2 and 1.3 servers answer. Its list of
// key shares is empty, so a TLS 1.3 server asks for another hello and has nothing to compute for a client that
// goes away anyway.
func clientHello() []byte {
	var random [64]byte
	rand.Read(random[:]) // never fails

	b := []byte{0x16, 3, 1, 0, 0} // handshake; TLS 1.0, as all clients say here (RFC 8446 5.1)
	b = append(b, 1, 0, 0, 0)     // ClientHello
	hello := len(b)
	b = append(b, 3, 3) // TLS 1.2, the real ones are below
	b = append(b, random[:32]...)
	b = append(b, 32) // a session id, for middleboxes (RFC 8446 D.4)
	b = append(b, random[32:]...)
	b = appendList16(b,
		0x1301, 0x1302, 0x1303, // TLS 1.3: AES-GCM, ChaCha20
		0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, // TLS 1.2: ECDHE with the same
		0xc009, 0xc013, 0xc00a, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035, // what old servers may be left with
	)
	b = append(b, 1, 0) // no compression

	extensions := len(b)
	b = append(b, 0, 0)
	extension := func(id uint16, body ...byte) {
		b = binary.BigEndian.AppendUint16(b, id)
		b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
		b = append(b, body...)
	}
	extension(0xff01, 0)                                                // renegotiation_info (RFC 5746)
	extension(23)                                                       // extended_master_secret (RFC 7627)
	extension(11, 1, 0)                                                 // ec_point_formats: uncompressed (RFC 8422)
	extension(10, appendList16(nil, 0x001d, 0x0017, 0x0018, 0x0019)...) // supported_groups: X25519, P-256, P-384, P-521
	extension(13, appendList16(nil,                                     // signature_algorithms: ECDSA, EdDSA, RSA-PSS, RSA
		0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201)...)
	extension(43, 4, 3, 4, 3, 3) // supported_versions: 1.3, 1.2
	extension(45, 1, 1)          // psk_key_exchange_modes: with ECDHE
	extension(51, 0, 0)          // key_share: none yet

	binary.BigEndian.PutUint16(b[extensions:], uint16(len(b)-extensions-2))
	binary.BigEndian.PutUint16(b[hello-2:], uint16(len(b)-hello))
	binary.BigEndian.PutUint16(b[3:], uint16(len(b)-recordLen))
	return b
}

// appendList16 appends a list of 16-bit numbers behind its length in bytes.
func appendList16(b []byte, list ...uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(list)))
	for _, v := range list {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}
