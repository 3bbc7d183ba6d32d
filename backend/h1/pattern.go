package h1

// Pattern is what requests without content have in common that differ in their targets alone. Later versions of HTTP say in a few bytes
// that a request has the fields of one before; a Pattern of that one makes the next without looking at each of them again. It keeps
// its memory from Learn to Learn.
type Pattern struct {
	header   Header
	method   []byte
	host     int // place of the Host line
	target   int // length of the target that was learnt
	trailers bool
	lim      ParseLimits
}

// Learn makes p the pattern of r, as Assemble with those limits has completed it, and reports whether there is one: r is to have no
// content.
func (p *Pattern) Learn(r *Request, lim *ParseLimits) bool {
	if r.Framing != NoContent || r.Length != 0 || r.Continue || r.Upgrade != "" || r.Body != nil {
		return false
	}
	p.header.Reset()
	p.host = -1
	h := &r.Header
	for i := range h.line {
		f := &h.line[i]
		if f.gone {
			continue
		}
		if f.id == Host && p.host < 0 {
			p.host = len(p.header.line)
		}
		p.header.AddLine(h.buf[f.off:f.end], int(f.n), f.id)
	}
	p.method = append(p.method[:0], r.Method...)
	p.target, p.trailers, p.lim = len(r.Target), r.Trailers, lim.or(&requestLimits)
	return p.host >= 0
}

// Grows returns by how many bytes a target is longer than that of the request that was learnt.
func (p *Pattern) Grows(target []byte) int { return len(target) - p.target }

// Make makes r, whose header is empty, the request with that target, and reports whether it can: Assemble would not have let pass
// every target. Else r is as before.
func (p *Pattern) Make(r *Request, target []byte) bool {
	r.Method, r.Target = p.method, target
	if r.checkLine(&p.lim) != nil {
		r.Method, r.Target = nil, nil
		return false
	}
	h := &r.Header
	h.CopyFrom(&p.header)
	r.Method, r.Target = h.keep("", p.method...), h.keep("", target...)
	r.Host = h.Value(p.host)
	r.Minor, r.Framing, r.Length, r.Trailers = 1, NoContent, 0, p.trailers
	return true
}
