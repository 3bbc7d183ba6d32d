package loop

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Addr is where a socket listens or leads: an IP address and port, a host name and port that
// still has to be resolved, a unix path, or an inherited descriptor. The zero Addr is no address.
type Addr struct {
	netip.AddrPort        // an invalid Addr() with a port is the wildcard, or waits for Host
	Host           string // a name to resolve, "" when the address is literal
	Path           string // "unix:PATH"
	FD             string // "fd@N" or "fd@NAME" of an environment variable holding N
	Free           bool   // to Listen on: this machine may not have the address yet (IP_FREEBIND)
	Handed         int    // to Listen on: the descriptor of a socket that listens there already, which is the listener's then; 0: none
}

// ParseAddr reads "192.168.1.1:80", "[::1]:80", ":80" (or "*:80"), "localhost:80", "unix:/path" and
// "fd@3". A missing port is port 0: whether that is allowed is the caller's question.
func ParseAddr(s string) (Addr, error) {
	switch {
	case s == "":
		return Addr{}, errors.New("empty address")
	case strings.HasPrefix(s, "unix:"):
		if s == "unix:" {
			return Addr{}, errors.New("unix: is followed by no path")
		}
		return Addr{Path: s[len("unix:"):]}, nil
	case strings.HasPrefix(s, "fd@"):
		if s == "fd@" {
			return Addr{}, errors.New("no descriptor after fd@")
		}
		return Addr{FD: s[len("fd@"):]}, nil
	}
	host, port, colon := s, "", false
	if strings.HasPrefix(s, "[") { // brackets are for IPv6 addresses alone (RFC 3986 3.2.2)
		i := strings.IndexByte(s, ']')
		if i < 0 {
			return Addr{}, errors.New("the bracket is not closed")
		}
		host = s[1:i]
		if ip, err := netip.ParseAddr(host); err != nil || !ip.Is6() {
			return Addr{}, errors.New(strconv.Quote(host) + " in brackets is no IPv6 address")
		}
		if rest := s[i+1:]; rest != "" {
			if port, colon = strings.CutPrefix(rest, ":"); !colon {
				return Addr{}, errors.New(strconv.Quote(rest) + " follows the bracket")
			}
		}
	} else if strings.Count(s, ":") == 1 { // more colons: an IPv6 address
		host, port, colon = strings.Cut(s, ":")
	}
	if colon && port == "" {
		return Addr{}, errors.New("the colon is followed by no port")
	}
	var n uint64
	if port != "" {
		var err error
		if n, err = strconv.ParseUint(port, 10, 16); err != nil {
			return Addr{}, errors.New("port " + strconv.Quote(port) + " is not a number from 0 to 65535")
		}
	}
	if host == "" || host == "*" {
		return Addr{AddrPort: netip.AddrPortFrom(netip.Addr{}, uint16(n))}, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return Addr{AddrPort: netip.AddrPortFrom(ip, uint16(n))}, nil
	}
	if !hostName(host) {
		return Addr{}, errors.New(strconv.Quote(host) + " is neither an IP address nor a host name")
	}
	return Addr{Host: strings.ToLower(host), AddrPort: netip.AddrPortFrom(netip.Addr{}, uint16(n))}, nil
}

// hostName reports whether s may be a DNS name (RFC 1123 2.1). Names of digits and dots alone are
// mistyped addresses.
func hostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	letters := false
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_':
				letters = true
			case c >= '0' && c <= '9' || c == '-':
			default:
				return false
			}
		}
	}
	return letters
}

// UnmarshalText is ParseAddr.
func (a *Addr) UnmarshalText(b []byte) error {
	p, err := ParseAddr(string(b))
	if err == nil {
		*a = p
	}
	return err
}

// Valid reports whether a is an address at all.
func (a Addr) Valid() bool {
	return a.Path != "" || a.FD != "" || a.Host != "" || a.AddrPort.IsValid() || a.AddrPort.Port() != 0
}

// WithPort returns a with another port; unix paths and descriptors stay as they are.
func (a Addr) WithPort(port uint16) Addr {
	if a.Path == "" && a.FD == "" {
		a.AddrPort = netip.AddrPortFrom(a.AddrPort.Addr(), port)
	}
	return a
}

// String returns the address as a configuration spells it.
func (a Addr) String() string {
	switch {
	case a.Path != "":
		return "unix:" + a.Path
	case a.FD != "":
		return "fd@" + a.FD
	case a.Host != "" && a.Port() != 0:
		return a.Host + ":" + strconv.Itoa(int(a.Port()))
	case a.Host != "":
		return a.Host
	case a.Addr().IsValid() && a.Port() != 0:
		return a.AddrPort.String()
	case a.Addr().IsValid():
		return a.Addr().String()
	case a.Port() != 0:
		return ":" + strconv.Itoa(int(a.Port()))
	}
	return ""
}

func (a Addr) ip() string {
	if !a.Addr().IsValid() {
		return ""
	}
	return a.Addr().String()
}

// literal returns an error unless a can be connected to as it is.
func (a Addr) literal() error {
	switch {
	case a.Path != "":
		return nil
	case a.Host != "":
		return errName
	case a.FD != "" || !a.Addr().IsValid():
		return errors.New("no address to connect to")
	}
	return nil
}

func (a Addr) port() string { return strconv.Itoa(int(a.Port())) }

func (a Addr) withIP(ip netip.Addr) Addr {
	a.AddrPort = netip.AddrPortFrom(ip, a.Port())
	return a
}
