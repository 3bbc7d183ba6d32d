package cache

import (
	"bytes"
	"strings"
	"time"
)

// rules finds the rule for a path. It is built once and then only read, by all loops.
type rules struct {
	list   []rule
	bypass bool // at least one of them keeps the cache out
}

// rule is one rule, ready to be matched.
type rule struct {
	exact    []string
	below    []string // with the slash at the end
	ttl      time.Duration
	staleFor time.Duration
	bypass   bool
	errors   bool
}

func newRules(list []*Rule) *rules {
	r := &rules{}
	for _, c := range list {
		one := rule{ttl: c.TTL, staleFor: c.StaleFor, bypass: c.Bypass, errors: c.Errors}
		for _, p := range c.Paths {
			if prefix, ok := strings.CutSuffix(p, "*"); ok && strings.HasSuffix(prefix, "/") {
				one.below = append(one.below, prefix)
			} else {
				one.exact = append(one.exact, p)
			}
		}
		r.list = append(r.list, one)
		r.bypass = r.bypass || c.Bypass
	}
	return r
}

// noRule is what counts where no rule matches, and everyRule where it cannot be said which one does.
var (
	noRule    = &rule{}
	everyRule = &rule{bypass: true}
)

// match returns the rule for a target. Where servers may read the path in several ways no rule may give anything, as the path
// that a server sees might be another one (a login page under "/assets/..%2Flogin"), and any rule may take something away.
func (r *rules) match(target []byte) *rule {
	if len(r.list) == 0 {
		return noRule
	}
	path := target
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	if !plain(path) {
		if r.bypass {
			return everyRule
		}
		return noRule
	}
	for i := range r.list {
		if r.list[i].takes(path) {
			return &r.list[i]
		}
	}
	return noRule
}

func (r *rule) takes(path []byte) bool {
	for _, p := range r.exact {
		if string(path) == p {
			return true
		}
	}
	for _, p := range r.below {
		if len(path) > len(p) && string(path[:len(p)]) == p {
			return true
		}
	}
	return false
}

// plain reports whether all servers read a path alike, and as it stands there: no dot segments, no doubled slashes, no
// backslashes, no parameters, and nothing encoded that means the same or more when it is decoded.
func plain(path []byte) bool {
	for i, c := range path {
		switch {
		case c == '/' && i > 0 && path[i-1] == '/', c == '\\', c == ';', c <= ' ', c >= 0x7f:
			return false
		case c == '.' && i > 0 && path[i-1] == '/':
			rest := path[i+1:]
			if len(rest) > 0 && rest[0] == '.' {
				rest = rest[1:]
			}
			if len(rest) == 0 || rest[0] == '/' {
				return false
			}
		case c == '%':
			if len(path) < i+3 {
				return false
			}
			// Beyond ASCII, and the few characters that have no other way: a blank, quotes, brackets.
			switch h, l := path[i+1], path[i+2]; {
			case h >= '8' && h <= '9', h >= 'a' && h <= 'f', h >= 'A' && h <= 'F':
				if !isHex(l) {
					return false
				}
			case h == '2' && (l == '0' || l == '2'), h == '5' && (l == 'B' || l == 'D' || l == 'b' || l == 'd'):
			default:
				return false
			}
		}
	}
	return true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
