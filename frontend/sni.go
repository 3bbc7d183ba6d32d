package frontend

import "encoding/binary"

// maxHello bounds a TLS client's hello: with post-quantum keys and a ticket it has some 2 KiB, in one record.
const (
	maxHello   = 16 << 10
	maxRecords = 64
)

// serverName finds the host name that a TLS client asks for in its first message (RFC 8446 4.1.2, RFC 6066 3). What was read of the
// connection is b. done is false when more of it has to be read first. The name is part of b, or a copy; there is none in what is no such
// hello, or too large, or asks for none.
func serverName(b []byte) (name []byte, done bool) {
	// Record versions below strange are ignored, as RFC 8446 5.1 has it. TLS stacks take those from there on for another protocol.
	const handshake, clientHello, strange = 0x16, 1, 0x10
	var hello []byte // may be spread over several records (RFC 8446 5.1)
	for range maxRecords {
		if len(b) < 5 {
			return nil, len(b) > 0 && b[0] != handshake || len(b) > 1 && b[1] >= strange
		}
		size := int(binary.BigEndian.Uint16(b[3:]))
		if b[0] != handshake || b[1] >= strange || size == 0 || len(hello)+size > maxHello {
			return nil, true
		}
		part := b[5:min(len(b), 5+size)]
		if hello == nil {
			hello = part[:len(part):len(part)] // so that append makes a copy
		} else {
			hello = append(hello, part...)
		}
		if len(hello) > 0 && hello[0] != clientHello {
			return nil, true
		}
		if len(hello) >= 4 {
			whole := 4 + (int(hello[1])<<16 | int(hello[2])<<8 | int(hello[3]))
			switch {
			case whole > maxHello:
				return nil, true
			case len(hello) >= whole:
				return nameIn(hello[4:whole]), true
			}
		}
		if len(part) < size {
			return nil, false
		}
		b = b[5+size:]
	}
	return nil, true
}

// nameIn returns the host name in the body of a hello, nil when there is none.
func nameIn(b []byte) []byte {
	const versionAndRandom = 2 + 32
	r := span{b}
	r.skip(versionAndRandom)
	r.skip(r.number(1)) // session
	r.skip(r.number(2)) // cipher suites
	r.skip(r.number(1)) // compression
	extensions := r.take(r.number(2))
	for len(extensions.b) > 0 {
		kind := extensions.number(2)
		body := extensions.take(extensions.number(2))
		if kind != 0 { // server_name
			continue
		}
		for names := body.take(body.number(2)); len(names.b) > 0; {
			kind := names.number(1)
			if name := names.take(names.number(2)); kind == 0 { // host_name
				return name.b
			}
		}
	}
	return nil
}

// span is bytes that are read from the front. What is cut short reads as nothing.
type span struct{ b []byte }

// number reads a number of that many bytes.
func (s *span) number(size int) (n int) {
	for _, c := range s.take(size).b {
		n = n<<8 | int(c)
	}
	return n
}

func (s *span) take(n int) span {
	if n > len(s.b) {
		s.b = nil
	}
	n = min(n, len(s.b))
	t := span{s.b[:n]}
	s.b = s.b[n:]
	return t
}

func (s *span) skip(n int) { s.take(n) }
