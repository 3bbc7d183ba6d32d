package frontend

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
)

// quicSocket is the UDP socket of an address, which several processes share for a time: the last one that came reads it, and hands its elders
// the packets of their connections; all of them write to it. quic-go reads by ReadBatch.
type quicSocket struct {
	*net.UDPConn
	batch  *ipv4.PacketConn
	tag    connTag
	elders atomic.Pointer[[]*elder] // nil: none
	heir   atomic.Pointer[net.UnixConn]
	in     []byte // a message from the heir

	retries  atomic.Int64 // packets that ask for a proof of the address
	unmarked atomic.Bool  // a mark is to follow what was read before the heir came

	reading sync.Mutex // held while the socket is read

	mu     sync.Mutex    // guards what follows, and changes of what is above
	until  time.Time     // deadline of reading
	caught chan struct{} // closed when the mark has come back; nil: it has, or there was none
	closed bool
}

func newQUICSocket(c *net.UDPConn) *quicSocket {
	return &quicSocket{UDPConn: c, batch: ipv4.NewPacketConn(c), tag: newTag()}
}

// WriteMsgUDP is how quic-go writes.
func (s *quicSocket) WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	if to == marker {
		return len(b), len(oob), nil
	}
	if len(b) > 0 && b[0]&0xf0 == 0xf0 { // a long header of type 3, Retry (RFC 9000 17.2.5)
		s.retries.Add(1)
	}
	return s.UDPConn.WriteMsgUDP(b, oob, to)
}

// ReadBatch reads datagrams, several at a time. One goroutine calls it.
func (s *quicSocket) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		n, err := s.read(ms, flags)
		if list := s.elders.Load(); list != nil && n > 0 {
			n = s.sort(ms[:n], *list)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// read may return nothing at all.
func (s *quicSocket) read(ms []ipv4.Message, flags int) (int, error) {
	if h := s.heir.Load(); h != nil {
		if s.markOnce(&ms[0]) {
			return 1, nil
		}
		if s.in == nil {
			s.in = make([]byte, relayMost)
		}
		switch n, err := h.Read(s.in); {
		case err == nil && readRelayed(s.in[:n], &ms[0]):
			return 1, nil
		case err == nil:
			return 0, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		}
		s.regain()
		return 0, nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.heir.Load() != nil {
		return 0, nil
	}
	n, err := s.batch.ReadBatch(ms, flags)
	if err != nil && s.heir.Load() != nil {
		return 0, nil
	}
	return n, err
}

// sort hands on what is for elders, and returns how many of the messages are left, which stand at the beginning then.
func (s *quicSocket) sort(ms []ipv4.Message, list []*elder) (n int) {
	for i := range ms {
		m := &ms[i]
		if tag, ok := tagIn(m.Buffers[0][:m.N]); ok && tag != s.tag {
			if at := slices.IndexFunc(list, func(e *elder) bool { return e.tag == tag }); at >= 0 {
				if !list[at].relay(m) {
					s.forget(list[at])
				}
				continue
			}
		}
		if n < i { // the memory of a place stays there: quic-go keeps account of it
			to := &ms[n]
			to.N, to.NN, to.Addr, to.Flags = copy(to.Buffers[0], m.Buffers[0][:m.N]), copy(to.OOB, m.OOB[:m.NN]), m.Addr, m.Flags
		}
		n++
	}
	return n
}

// adopt adds elders.
func (s *quicSocket) adopt(list []*elder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(list) > 0 {
		s.elders.Store(&list)
	}
}

// forget takes out an elder that has ended.
func (s *quicSocket) forget(e *elder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.to.Close()
	p := s.elders.Load()
	if p == nil {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(*p), func(x *elder) bool { return x == e })
	s.elders.Store(&rest)
	if len(rest) == 0 {
		s.elders.Store(nil)
	}
}

// yield leaves the reading to another process, from which our packets come now. Nobody reads the socket here when it returns.
func (s *quicSocket) yield(from *net.UnixConn) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		from.Close()
		return
	}
	from.SetReadDeadline(s.until)
	if s.caught == nil {
		s.caught = make(chan struct{})
	}
	if was := s.heir.Swap(from); was != nil {
		was.Close()
	}
	s.unmarked.Store(true)
	s.UDPConn.SetReadDeadline(longAgo)
	s.mu.Unlock()
	s.reading.Lock()
	defer s.reading.Unlock()
}

// yielded reports whether another process reads the socket.
func (s *quicSocket) yielded() bool { return s.heir.Load() != nil }

// regain goes on reading: the other process has ended, or has no use for the socket.
func (s *quicSocket) regain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.heir.Swap(nil); h != nil {
		h.Close()
	}
	s.UDPConn.SetReadDeadline(s.until)
}

// SetReadDeadline is quic-go's way to end the reading.
func (s *quicSocket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = t
	if h := s.heir.Load(); h != nil {
		h.SetReadDeadline(t)
		return nil
	}
	return s.UDPConn.SetReadDeadline(t)
}

// isClosed reports whether it is closed.
func (s *quicSocket) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close closes the socket for this process.
func (s *quicSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if h := s.heir.Load(); h != nil {
		h.Close()
	}
	if list := s.elders.Swap(nil); list != nil {
		for _, e := range *list {
			e.to.Close()
		}
	}
	return s.UDPConn.Close()
}
