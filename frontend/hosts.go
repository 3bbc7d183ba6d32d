package frontend

import (
	"bytes"
	"slices"
	"strings"
)

// hostSet answers which names a frontend or a route serves. It is built once and then only read.
//
// "example.com" is that name, in any case. "*.example.com" is every name exactly one label below it, as in a
// certificate (RFC 9525 6.3): www.example.com, but neither example.com nor a.b.example.com. "*" is every name, and so is a
// set without names. The port and a dot at the end of a request's host do not count.
type hostSet struct {
	exact []string // sorted, folded
	below []string // of "*.example.com": "example.com"; sorted, folded
	all   bool
}

// hostMatch says how closely a set matches a host. Where several frontends share an address, the greatest one takes the
// request.
type hostMatch uint8

// The matches, from the loosest.
const (
	hostNone  hostMatch = iota
	hostAny             // by a set that takes every name
	hostBelow           // by "*.example.com"
	hostExact
)

func newHostSet(hosts []string) *hostSet {
	s := &hostSet{all: len(hosts) == 0}
	for _, h := range hosts {
		switch {
		case h == "*":
			s.all = true
		case strings.HasPrefix(h, "*."):
			s.below = append(s.below, string(foldHost(nil, []byte(h[len("*."):]))))
		default:
			s.exact = append(s.exact, string(foldHost(nil, []byte(h))))
		}
	}
	slices.Sort(s.exact)
	slices.Sort(s.below)
	return s
}

// longestHost is the greatest length of a name on the wire (RFC 1035 2.3.4), in text, and some room for brackets.
const longestHost = 256

// match reports how closely s matches the host of a request.
func (s *hostSet) match(host []byte) hostMatch {
	if len(s.exact) > 0 || len(s.below) > 0 {
		var scratch [longestHost]byte
		if m := s.matchFolded(foldHost(scratch[:0], host)); m != hostNone {
			return m
		}
	}
	if s.all {
		return hostAny
	}
	return hostNone
}

// matchFolded is match of what foldHost returned.
func (s *hostSet) matchFolded(name []byte) hostMatch {
	if find(s.exact, name) {
		return hostExact
	}
	if i := bytes.IndexByte(name, '.'); i > 0 && find(s.below, name[i+1:]) {
		return hostBelow
	}
	if s.all {
		return hostAny
	}
	return hostNone
}

// find reports whether name is in the sorted list.
func find(list []string, name []byte) bool {
	for len(list) > 0 {
		mid := len(list) / 2
		switch s := list[mid]; {
		case string(name) == s: // the compiler compares without a copy
			return true
		case string(name) < s:
			list = list[:mid]
		default:
			list = list[mid+1:]
		}
	}
	return false
}

// foldHost appends host to dst as sets keep it: in lower case, without port, without a dot at its end. A name too long to be
// one is appended as the empty name, which no set holds.
func foldHost(dst, host []byte) []byte {
	host = hostOnly(host)
	if n := len(host); n > 1 && host[n-1] == '.' {
		host = host[:n-1]
	}
	if len(host) > longestHost {
		return dst
	}
	for _, c := range host {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// hostOnly returns host without its port. An IPv6 literal keeps its brackets; without them it has no port.
func hostOnly(host []byte) []byte {
	i := bytes.LastIndexByte(host, ':')
	switch {
	case i < 0:
		return host
	case host[0] == '[':
		if j := bytes.IndexByte(host, ']'); j >= 0 {
			return host[:j+1]
		}
		return host
	case bytes.IndexByte(host, ':') < i:
		return host
	}
	return host[:i]
}
