package backend

import (
	"bytes"

	"gatehouse/backend/h1"
)

// mark edits the cookies of a server's final answer and gives the client its persistence cookie where it needs one.
// server is the place of the server that answered, c what claim found in the request, now the time in Unix
// seconds. What is inserted goes to x.Own. It notes for the log what was done: N nothing, P a server's
// cookie passed, R rewritten, D deleted, I ours inserted, U ours sent again with new dates.
//
// It is for what servers answer, interim responses aside: an answer of our own or of the cache says nothing about a server.
func (p *persistence) mark(x *h1.Exchange, c claim, server int, now int64) {
	if x.Resp.Status < 200 && x.Resp.Status != 101 { // 101 is final: the upgrade ends the exchange
		return
	}
	direct := c.server >= 0 && c.server == server
	flag := p.edit(&x.Resp.Header, direct, server)
	switch {
	case p.Mode != Insert:
	case p.Preserve && flag == 'P':
	case p.PostOnly && string(x.Req.Method) != "POST":
	case !direct:
		p.insert(x, server, c.first, now)
		flag = 'I'
	case p.refresh(c, now):
		p.insert(x, server, c.first, now)
		flag = 'U'
	}
	if p.logged() {
		x.Note.CookieOut = flag
	}
}

// edit applies the block to the Set-Cookie lines of its name. Of a line only the first pair counts, and a comma is data:
// Expires has one.
func (p *persistence) edit(h *h1.Header, direct bool, server int) (flag byte) {
	flag = 'N'
	for i := h.Index(h1.SetCookie, 0); i >= 0; i = h.Index(h1.SetCookie, i+1) {
		v := h.Value(i)
		v0, v1, ok := setCookieValue(v, p.Name)
		if !ok {
			continue
		}
		switch {
		case p.Preserve:
			flag = 'P'
		case p.Mode == Insert, p.Indirect && direct:
			h.DelAt(i)
			flag = 'D'
		case p.Mode == Rewrite && p.values[server] != "":
			splice(h, i, v0, v1, p.values[server], "")
			flag = 'R'
		case p.Mode == Prefix && p.values[server] != "":
			splice(h, i, v0, v0, p.values[server], string(prefixSep))
			flag = 'R'
		default:
			flag = 'P'
		}
	}
	return flag
}

// setCookieValue returns the range of the value in a Set-Cookie line of that name.
func setCookieValue(v []byte, name string) (v0, v1 int, ok bool) {
	start := skipBlank(v, 0)
	eq := bytes.IndexByte(v, '=')
	if eq < start || string(v[start:trimBlank(v, start, eq)]) != name {
		return 0, 0, false
	}
	// A name has no ";": one before "=" is in v[start:eq] and cannot be equal.
	v0 = skipBlank(v, eq+1)
	end, quoted := v0, false
	for ; end < len(v) && (quoted || v[end] != ';'); end++ {
		switch {
		case v[end] == '"':
			quoted = !quoted
		case v[end] == '\\' && quoted:
			end++
		}
	}
	if end = min(end, len(v)); quoted {
		// No closing quote: browsers know no quotes and end the value at the first ";" (RFC 6265 5.2).
		if end = bytes.IndexByte(v[v0:], ';') + v0; end < v0 {
			end = len(v)
		}
	}
	return v0, trimBlank(v, v0, end), true
}

// splice puts two texts in the place of v0 to v1 of the value at place i. All else stays byte for byte.
func splice(h *h1.Header, i, v0, v1 int, a, b string) {
	var room [1 << 10]byte // longer ones take memory; few are
	v := h.Value(i)
	s := append(room[:0], v[:v0]...)
	s = append(append(s, a...), b...)
	h.SetValue(i, append(s, v[v1:]...))
}

// insert adds the cookie that names the server to the part of the answer that is this client's alone.
func (p *persistence) insert(x *h1.Exchange, server int, first, now int64) {
	secure := 0
	if p.Secure == nil && x.Req.Secure || p.Secure != nil && *p.Secure {
		secure = 1
	}
	if p.dated && p.values[server] != "" {
		var room [256]byte
		x.Own.Add("Set-Cookie", p.appendDated(room[:0], server, secure, first, now))
	} else {
		x.Own.AddString("Set-Cookie", p.line[secure][server])
	}
	if p.NoCache {
		keepPrivate(x)
	}
}
