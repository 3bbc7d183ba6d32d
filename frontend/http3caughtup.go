package frontend

import (
	"encoding/binary"
	"net"

	"golang.org/x/net/ipv4"
)

// What the socket has brought lies in queues of quic-go's for a while before a newcomer among it is counted as one who shakes hands. When another
// process reads the socket from some moment on, and this one leaves when nobody is in the middle of a handshake any more, those newcomers are
// not overlooked: a mark goes after them, a datagram of our own that looks like a newcomer's, and comes back when quic-go has got to it.

// marker is whom the mark is from. Nobody has this address; it is recognised as this very pointer.
var marker = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}

// mark is a datagram with an Initial packet (RFC 9000 17.2.2) that has nothing in it. quic-go asks whether its sender is to prove the address
// before it looks any further.
func mark() []byte {
	b := make([]byte, 1200)                // no less: "A client MUST expand the payload of all UDP datagrams carrying Initial packets" (14.1)
	b[0] = 0xc0                            // long header, Initial
	binary.BigEndian.PutUint32(b[1:], 1)   // version
	b[5] = 8                               // length of the destination's connection ID, which is 0
	const rest = 1 + 4 + 1 + 8 + 1 + 1 + 2 // up to here, and no connection ID of the source, no token, this length
	binary.BigEndian.PutUint16(b[rest-2:], 0x4000|uint16(len(b)-rest))
	return b
}

// markOnce puts the mark into m, if it is time for it.
func (s *quicSocket) markOnce(m *ipv4.Message) bool {
	if !s.unmarked.Swap(false) {
		return false
	}
	m.Addr, m.N, m.NN, m.Flags = marker, copy(m.Buffers[0], mark()), 0, 0
	return true
}

// passed is called when the mark comes back.
func (s *quicSocket) passed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.caught; c != nil {
		s.caught = nil
		close(c)
	}
}

// caughtUp returns what is closed as soon as all is counted that was read before the socket was yielded.
func (s *quicSocket) caughtUp() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.caught == nil {
		c := make(chan struct{})
		close(c)
		return c
	}
	return s.caught
}
