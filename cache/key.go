package cache

import (
	"bytes"
	"slices"
	"strings"

	"gatehouse/backend/h1"
)

// A key is what two requests must have in common to get one answer: the backend, and the URL: scheme, host in lower case
// with its port, raw path and raw query.
//
//	webfarm\x00https://shop.example.com/list?page=2
//
// What is not in the key, and not named by Vary, is not supposed to make a difference. Where it does all the same, one client could
// choose what the others get (cache poisoning); see also override and appendForwarded.

// appendKey appends the key of a request to dst. target is the request's, as query makes it.
func appendKey(dst []byte, backend string, secure bool, host, target []byte) []byte {
	dst = append(append(dst, backend...), 0)
	if secure {
		dst = append(dst, "https://"...)
	} else {
		dst = append(dst, "http://"...)
	}
	for _, c := range host {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return append(dst, target...)
}

// query is a query block at work. It is immutable, and all loops share it.
type query struct {
	sort  bool
	drop  []string // whole names
	drops []string // beginnings of names
}

// newQuery makes the block work; nil when there is none.
func newQuery(c *Query) *query {
	if c == nil || !c.Sort && len(c.Drop) == 0 {
		return nil
	}
	q := &query{sort: c.Sort}
	for _, d := range c.Drop {
		if prefix, ok := strings.CutSuffix(d, "*"); ok {
			q.drops = append(q.drops, prefix)
		} else {
			q.drop = append(q.drop, d)
		}
	}
	return q
}

// appendTarget appends the target as it goes into the key and to the server. Without anything to drop or to sort it is the raw one.
func (q *query) appendTarget(dst, target []byte) []byte {
	i := bytes.IndexByte(target, '?')
	if i < 0 {
		return append(dst, target...)
	}
	dst = append(dst, target[:i]...)
	var room [32][]byte
	list := room[:0]
	for rest, more := target[i+1:], true; more; {
		var p []byte
		p, rest, more = bytes.Cut(rest, []byte("&"))
		if !q.dropped(nameOf(p)) {
			list = append(list, p)
		}
	}
	if q.sort {
		slices.SortStableFunc(list, func(a, b []byte) int { return bytes.Compare(nameOf(a), nameOf(b)) })
	}
	for i, p := range list {
		if i == 0 {
			dst = append(dst, '?')
		} else {
			dst = append(dst, '&')
		}
		dst = append(dst, p...)
	}
	return dst
}

// nameOf returns the name of a parameter of a query, raw.
func nameOf(p []byte) []byte {
	if i := bytes.IndexByte(p, '='); i >= 0 {
		return p[:i]
	}
	return p
}

func (q *query) dropped(name []byte) bool {
	for _, d := range q.drop {
		if string(name) == d {
			return true
		}
	}
	for _, d := range q.drops {
		if len(name) >= len(d) && string(name[:len(d)]) == d {
			return true
		}
	}
	return false
}

// overrides reports whether a request has a field that makes some servers answer another URL, or another method, than the one it
// names. It must neither get nor leave an answer. The pool takes such fields out, but for trusted peers.
func overrides(h *h1.Header) bool {
	if h.Has(h1.XOriginalURL) || h.Has(h1.XRewriteURL) || h.Has(h1.XHTTPMethodOverride) {
		return true
	}
	for i := range h.Len() {
		if id, name, _ := h.At(i); id == 0 && len(name) > 2 && name[0]|0x20 == 'x' && name[1] == '-' &&
			(h1.EqualFold(name, "X-HTTP-Method") || h1.EqualFold(name, "X-Method-Override") || h1.EqualFold(name, "X-Original-Host") || h1.EqualFold(name, "X-Host")) {
			return true
		}
	}
	return false
}

// appendForwarded appends what a request says about how it came to the first proxy: the fields from which servers build links.
// Of all requests for one URL only those that agree in it get one answer. Who asked (X-Forwarded-For, X-Real-IP) is not
// among it. Without any such field, which is the rule, nothing is appended.
func appendForwarded(dst []byte, h *h1.Header) []byte {
	const prefix = "x-forwarded-"
	for i := range h.Len() {
		id, name, value := h.At(i)
		switch id {
		case h1.XForwardedHost, h1.XForwardedProto, h1.Forwarded:
		case 0:
			if len(name) <= len(prefix) || !h1.EqualFold(name[:len(prefix)], prefix) {
				continue
			}
		default:
			continue
		}
		for _, c := range name {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
		}
		dst = append(append(append(dst, ':'), value...), '\n')
	}
	return dst
}
