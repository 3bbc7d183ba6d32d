package frontend

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/net/ipv4"
)

// A datagram goes from the process that reads the socket to the one it is for as one message:
//
//	address of the client (16 bytes)  port (2)  length of the zone (1)  zone  length of the control data (1)  control data  datagram
//
// The control data is what the kernel has said beside the datagram: the address it was sent to, and marks of congestion.

// relayMost is how long such a message may be.
const relayMost = 4 << 10

// appendRelayed appends a datagram as a message.
func appendRelayed(b []byte, m *ipv4.Message) []byte {
	u, ok := m.Addr.(*net.UDPAddr)
	if !ok || len(u.Zone) > 0xff || m.NN > 0xff {
		return b
	}
	at := u.AddrPort()
	ip := at.Addr().As16()
	b = binary.BigEndian.AppendUint16(append(b, ip[:]...), at.Port())
	b = append(append(b, byte(len(u.Zone))), u.Zone...)
	b = append(append(b, byte(m.NN)), m.OOB[:m.NN]...)
	return append(b, m.Buffers[0][:m.N]...)
}

// readRelayed reads such a message into m. It reports whether it is one, and fits.
func readRelayed(b []byte, m *ipv4.Message) bool {
	part := func(n int) (p []byte) {
		if n <= len(b) {
			p, b = b[:n:n], b[n:]
			return p
		}
		b = nil
		return nil
	}
	head := part(19)
	if head == nil {
		return false
	}
	ip := netip.AddrFrom16([16]byte(head)).Unmap()
	zone := part(int(head[18]))
	if zone == nil || len(zone) > 0 && !ip.Is6() {
		return false
	}
	n := part(1)
	if n == nil {
		return false
	}
	oob := part(int(n[0]))
	if oob == nil || len(oob) > len(m.OOB) || len(b) == 0 || len(b) > len(m.Buffers[0]) {
		return false
	}
	if _, err := syscall.ParseSocketControlMessage(oob); err != nil {
		return false
	}
	m.Addr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip.WithZone(string(zone)), binary.BigEndian.Uint16(head[16:])))
	m.NN, m.N, m.Flags = copy(m.OOB, oob), copy(m.Buffers[0], b), 0
	return true
}

// elder is a process that served on the address before, and has connections still.
type elder struct {
	tag connTag
	to  *net.UnixConn // to the process
	buf []byte
}

// newElder makes one of the descriptor that leads to it, which is the elder's from then on.
func newElder(name string, fd int) (*elder, error) {
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return elderOf(name, f)
}

// elderOf makes one of the file that leads to it, which stays the caller's.
func elderOf(name string, f *os.File) (*elder, error) {
	tag, err := parseTag(name)
	if err != nil {
		return nil, err
	}
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errNoTag
	}
	return &elder{tag: tag, to: u}, nil
}

// relay hands on a datagram. What the elder has no room for is lost, as on any path that is full. It reports whether the elder is still
// there.
func (e *elder) relay(m *ipv4.Message) bool {
	if e.buf = appendRelayed(e.buf[:0], m); len(e.buf) == 0 {
		return true
	}
	raw, err := e.to.SyscallConn()
	if err != nil {
		return false
	}
	var fault error
	if err := raw.Write(func(fd uintptr) bool {
		_, fault = syscall.Write(int(fd), e.buf)
		return true // whoever cannot take it must not hold up the others
	}); err != nil {
		return false
	}
	return fault == nil || errors.Is(fault, syscall.EAGAIN) || errors.Is(fault, syscall.ENOBUFS) || errors.Is(fault, syscall.EINTR)
}

// relayPair makes the two ends of a way for such messages: the one that whoever reads the socket writes to, and ours.
func relayPair() (theirs *os.File, ours *net.UnixConn, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	syscall.SetNonblock(fds[0], true)
	theirs = os.NewFile(uintptr(fds[0]), "packets")
	f := os.NewFile(uintptr(fds[1]), "packets")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return theirs, c.(*net.UnixConn), nil
}
