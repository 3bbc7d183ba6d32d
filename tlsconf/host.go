package tlsconf

import (
	"net/netip"
	"slices"
	"strings"
)

// hostFault says what keeps s from being a host a certificate can be issued for: a DNS name (RFC 1123 2.1), "*." and a DNS name, or an
// IP address. "" means nothing does.
func hostFault(s string) string {
	if s == "" {
		return "is empty"
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return ""
	}
	switch {
	case strings.Contains(s, "://"):
		return "is a URL, not a host name"
	case strings.Contains(s, ":"):
		return "has a port"
	case strings.HasSuffix(s, "."):
		return "ends in a dot"
	}
	name := strings.TrimPrefix(s, "*.")
	if len(name) > 253 {
		return "is longer than 253 characters"
	}
	digits := true
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return "has an empty label"
		case len(label) > 63:
			return "has a label of more than 63 characters"
		case label[0] == '-' || label[len(label)-1] == '-':
			return "has a label that begins or ends with a hyphen"
		}
		for _, c := range []byte(label) {
			switch {
			case c >= 0x80:
				return "is not ASCII: write its xn-- form"
			case c == '*':
				return "has a * that is not its whole first label"
			case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_':
				digits = false
			case c < '0' || c > '9':
				return "has a character no host name may have"
			}
		}
	}
	if digits {
		return "is not an IP address"
	}
	return ""
}

// internalNames completes the hosts by the names of this machine.
func internalNames(hosts []string) []string {
	names := make([]string, 0, len(hosts)+3)
	for _, h := range append(slices.Clip(hosts), "localhost", "127.0.0.1", "::1") {
		if h = strings.ToLower(h); !slices.Contains(names, h) {
			names = append(names, h)
		}
	}
	return names
}
