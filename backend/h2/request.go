package h2

import (
	"errors"
	"fmt"

	"gatehouse/backend/h1"
)

// Assembler makes requests of header blocks. It has the scratch memory for that: one serves all connections of a loop.
type Assembler struct {
	cookie []byte
}

// Why a request is malformed, or refused.
var (
	errField    = errors.New("a field that no message may have")
	errOrder    = errors.New("a pseudo-header field behind another field")
	errTwice    = errors.New("a pseudo-header field twice")
	errStatus   = errors.New(":status in a request")
	errMissing  = errors.New("without :method, :scheme or :path")
	errScheme   = errors.New("a :scheme that is neither http nor https")
	errProtocol = errors.New(":protocol without the method CONNECT")
	errConnect  = errors.New("CONNECT is not served")
	errTrailing = errors.New("a pseudo-header field in a trailer section")
	errHead     = errors.New("the head is too long")
	errLong     = errors.New("a field is too long")
	errCount    = errors.New("too many fields")
)

func malformed(err error) error {
	return &h1.Error{Side: h1.ByClient, Err: err, Cause: 'P', State: 'R'}
}

func refuse(status int, err error) error {
	return &h1.Error{Status: status, Side: h1.ByClient, Err: err}
}

// reading is a request on its way out of its block.
type reading struct {
	r     *h1.Request
	lim   *h1.ParseLimits
	seen  uint16 // kinds of pseudo-header fields
	begun bool   // an ordinary field came
	proto []byte
	size  int
	count int
	prio  Urgency
	err   error
}

// Request reads the head of a request into r, and its priority; ended says that no content follows. lim has no zero fields. The block is
// read to its end in any case. An *Error is one of the connection; an *h1.Error is one of the request alone, which is malformed
// where its status is 0 (RFC 9113 8.1.1). A WebSocket's extended CONNECT (RFC 8441) becomes the GET that HTTP/1 has for it, without a
// Sec-WebSocket-Key.
func (a *Assembler) Request(d *Decoder, block []byte, r *h1.Request, ended bool, lim *h1.ParseLimits) (Urgency, error) {
	if ended && d.memo != nil {
		if prio, ok := d.memo.request(d, block, r, lim); ok {
			return prio, nil
		}
	}
	p := reading{r: r, lim: lim, prio: NoPriority}
	a.cookie = a.cookie[:0]
	age, from, to := d.t.age, 0, 0
	for d.Begin(block); ; {
		if p.err != nil {
			d.Skip()
			break
		}
		at := len(block) - len(d.b)
		if !d.Next() {
			break
		}
		f := &d.Field
		if f.Kind == Path {
			from, to = at, len(block)-len(d.b)
		}
		if p.size += len(f.Line); p.size > lim.Head {
			p.err = refuse(431, errHead)
			continue
		}
		switch f.Kind {
		case Regular, Dashless:
			p.err = a.field(&p, f)
		case Malformed:
			p.err = malformed(errField)
		default:
			p.err = p.pseudo(f)
		}
	}
	err := d.Err()
	if err == nil {
		err = p.err
	}
	if err == nil {
		err = a.finish(&p, ended)
	}
	if cap(a.cookie) > 64<<10 {
		a.cookie = nil
	}
	if err == nil && ended && age == d.t.age {
		d.remember(block, from, to, &p)
	}
	if err != nil {
		r.Method, r.Target, r.Host, r.Upgrade = nil, nil, nil, ""
		r.Header.Reset()
	}
	return p.prio, err
}

// pseudo takes a pseudo-header field.
func (p *reading) pseudo(f *Field) error {
	switch {
	case p.begun:
		return malformed(errOrder)
	case p.seen&(1<<f.Kind) != 0:
		return malformed(errTwice)
	}
	p.seen |= 1 << f.Kind
	v := f.Value()
	switch h := &p.r.Header; f.Kind {
	case Method:
		p.r.Method = h.Keep(v)
	case Path:
		p.r.Target = h.Keep(v)
	case Authority:
		p.r.Host = h.Keep(v)
	case Protocol:
		p.proto = h.Keep(v)
	case Scheme:
		if s := string(v); s != "http" && s != "https" {
			return malformed(errScheme)
		}
	default:
		return malformed(errStatus)
	}
	return nil
}

// begin is called behind the last pseudo-header field.
func (p *reading) begin() {
	p.begun = true
	if p.r.Host != nil {
		p.r.Header.Add("Host", p.r.Host)
	}
}

// field takes an ordinary field.
func (a *Assembler) field(p *reading, f *Field) error {
	if !p.begun {
		p.begin()
	}
	switch {
	case len(f.Line)-2 > p.lim.Field:
		return refuse(431, errLong)
	case f.ID == h1.Cookie:
		// "If there are multiple Cookie header fields after decompression, these MUST be concatenated into a single octet string
		// using the two-octet delimiter of 0x3b, 0x20" (RFC 9113 8.2.3)
		if len(a.cookie) > 0 {
			a.cookie = append(a.cookie, "; "...)
		}
		a.cookie = append(a.cookie, f.Value()...)
		return nil
	}
	if p.count++; p.count > p.lim.Fields {
		return refuse(431, errCount)
	}
	switch {
	case f.Kind == Dashless && (!p.lim.Underscores || h1.Disguised(f.Name())):
		return nil
	case f.ID == 0 && string(f.Name()) == "priority":
		p.prio = ParsePriority(f.Value())
	}
	p.r.Header.AddLine(f.Line, f.N, f.ID)
	return nil
}

// finish completes the request.
func (a *Assembler) finish(p *reading, ended bool) error {
	r := p.r
	if !p.begun {
		p.begin()
	}
	if len(a.cookie) > 0 {
		if len("cookie: ")+len(a.cookie) > p.lim.Field {
			return refuse(431, errLong)
		}
		r.Header.Add("cookie", a.cookie)
	}
	const rest = 1<<Scheme | 1<<Path
	connect := string(r.Method) == "CONNECT"
	upgrade := ""
	switch {
	case p.proto != nil && !connect:
		return malformed(errProtocol)
	case connect && p.proto == nil:
		// "The ":scheme" and ":path" pseudo-header fields MUST be omitted." (RFC 9113 8.5)
		if p.seen&rest != 0 || r.Host == nil {
			return malformed(errMissing)
		}
		return refuse(405, errConnect)
	case p.seen&rest != rest || r.Method == nil:
		return malformed(errMissing)
	case connect:
		if string(p.proto) != "websocket" {
			return refuse(501, fmt.Errorf("the :protocol %.40q", p.proto))
		}
		upgrade, ended = "websocket", true
		r.Method = methodGet
	}
	if err := r.Assemble(r.Host != nil, ended, p.lim); err != nil {
		return err
	}
	r.Upgrade = upgrade
	return nil
}

var methodGet = []byte("GET")

// Trailer reads the trailer section of a request. It returns what of it may be passed on, nil for nothing. Errors are those of Request.
func (a *Assembler) Trailer(d *Decoder, block []byte) (*h1.Header, error) {
	const most, fields = 8 << 10, 64 // as in chunked content
	var h *h1.Header
	var bad error
	size, n := 0, 0
	for d.Begin(block); d.Next(); {
		f := &d.Field
		size += len(f.Line)
		n++
		switch {
		case bad != nil:
		case size > most || n > fields:
			bad = malformed(errHead)
		case f.Kind == Malformed:
			bad = malformed(errField)
		case f.Kind > Dashless:
			bad = malformed(errTrailing)
		case f.Kind == Dashless: // which some take for another name
		case h1.MayTrail(f.ID, f.Name()):
			if h == nil {
				h = &h1.Header{}
			}
			h.AddLine(f.Line, f.N, f.ID)
		}
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	if bad != nil {
		return nil, bad
	}
	return h, nil
}
