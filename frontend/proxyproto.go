package frontend

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyTime is how long a balancer may take for its PROXY header. It is the first thing it sends, in one piece.
const proxyTime = 3 * time.Second

// Where a PROXY header ends (its specification, 2.1 and 2.2). A header of version 2 has 16 bytes and then as many as they say; what
// balancers add to the addresses there (names, certificates) is not read and fits into maxProxyV2 by far.
const (
	maxProxyV1 = 107
	minProxyV2 = 16
	maxProxyV2 = 4 << 10
)

var (
	proxyV1 = []byte("PROXY ")
	proxyV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

var (
	errNoProxy    = errors.New("no PROXY header")
	errProxyLong  = errors.New("PROXY header too long")
	errProxyTwice = errors.New("two PROXY headers")
)

// announcement is what a PROXY header says.
type announcement struct {
	// Peer is the client, Local where it came in. Both are invalid when the balancer speaks for itself (version 1 UNKNOWN, version
	// 2 LOCAL).
	Peer, Local netip.AddrPort
}

// parseProxy reads the PROXY header that b begins with and returns its length, 0 while it is not complete. It takes what the
// specification allows for TCP and nothing else: "The receiver must not start processing the connection before it receives a
// complete and valid PROXY protocol header".
func parseProxy(b []byte) (a announcement, n int, err error) {
	n, err = proxyLen(b)
	if n == 0 || err != nil {
		return a, 0, err
	}
	// The library gets the header whole and nothing else, so it never waits for more.
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b[:n]), n))
	switch {
	case err != nil:
		return a, 0, fmt.Errorf("PROXY header: %w", err)
	case isProxy(b[n:]):
		return a, 0, errProxyTwice
	case h.Command.IsLocal():
		return a, n, nil
	}
	src, ok1 := h.SourceAddr.(*net.TCPAddr)
	dst, ok2 := h.DestinationAddr.(*net.TCPAddr)
	if !ok1 || !ok2 {
		return a, 0, fmt.Errorf("PROXY header: %s is not TCP", h.SourceAddr.Network())
	}
	a.Peer, a.Local = plain(src.AddrPort()), plain(dst.AddrPort())
	return a, n, nil
}

// plain returns an IPv4 address in IPv6 clothes as what it is.
func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// proxyLen returns the length of the PROXY header that b begins with, 0 while that cannot be told.
func proxyLen(b []byte) (int, error) {
	switch {
	case begins(b, proxyV1):
		line := b[:min(len(b), maxProxyV1)]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			return i + 1, nil
		}
		if len(line) == maxProxyV1 {
			return 0, errProxyLong
		}
		return 0, nil
	case begins(b, proxyV2):
		if len(b) < minProxyV2 {
			return 0, nil
		}
		n := int(binary.BigEndian.Uint16(b[14:]))
		if n > maxProxyV2 {
			return 0, errProxyLong
		}
		if len(b) < minProxyV2+n {
			return 0, nil
		}
		return minProxyV2 + n, nil
	}
	return 0, errNoProxy
}

// begins reports whether b begins with prefix, or may do so once more of it is there.
func begins(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return bytes.Equal(b[:n], prefix[:n])
}

// isProxy reports whether b begins with a PROXY header, whole or not.
func isProxy(b []byte) bool { return bytes.HasPrefix(b, proxyV1) || bytes.HasPrefix(b, proxyV2) }
