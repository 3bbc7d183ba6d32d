package frontend

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gatehouse/backend/h1"
)

// Why the frontend itself refuses a request.
var (
	errBodySize      = errors.New("content larger than limits.body")
	errAmbiguousPath = errors.New("servers may read the path in ways that lead to different routes")
	errNoBackend     = errors.New("no backend for this request")
	errUnknownHost   = errors.New("no frontend on this address serves the host")
	errNoHost        = errors.New("a redirect needs the host, and the request names none")
)

func refuse(status int, err error) error {
	return &h1.Error{Status: status, Side: h1.ByProxy, Err: err, Cause: 'P', State: 'R'}
}

// toHTTPS leads to the same URL over TLS.
var toHTTPS = newRedirect("https://{host}{uri}")

// lingerTime is how long a client may take to read the last answer of its connection.
const lingerTime = 2 * time.Second

// answerPage fills x.Resp with a page of the proxy's own.
func answerPage(x *h1.Exchange, status int) {
	p := pageOf(status)
	r := &x.Resp
	r.Status, r.Length = status, int64(len(p.body))
	r.Reason = append(r.Reason[:0], p.reason...)
	p.addTo(&r.Header)
	if len(p.body) > 0 && string(x.Req.Method) != "HEAD" {
		r.Body = &h1.Static{B: p.body}
	}
	x.Note.Cause, x.Note.State = 'L', 'R'
}

// addTo adds the fields of the page to h.
func (p *page) addTo(h *h1.Header) {
	_, lines, _ := strings.Cut(string(p.head), "\r\n")
	for l := range strings.SplitSeq(lines, "\r\n") {
		if name, value, ok := strings.Cut(l, ": "); ok {
			h.AddString(name, value)
		}
	}
}

// answerRedirect fills x.Resp with a redirect.
func answerRedirect(x *h1.Exchange, status int, to redirect) error {
	b := x.Loop.Small()
	defer func() { x.Loop.PutSmall(b) }()
	b, ok := to.appendTo(b, x.Req.Host, x.Req.Target)
	if !ok {
		return refuse(400, errNoHost)
	}
	r := &x.Resp
	r.Status, r.Length = status, 0
	r.Reason = append(r.Reason[:0], reason(status)...)
	r.Header.Add("Location", b)
	r.Header.AddString("Content-Length", "0")
	x.Note.Cause, x.Note.State = 'L', 'R'
	return nil
}

// finish sends the answer, or the page that stands for the error, logs the exchange, and reports whether the connection can go on.
func (e *exchange) finish(begin int64, err error) bool {
	f := e.entry.Frontend
	x := &e.Exchange
	goOn := false
	if err == nil && x.Resp.Tunnel != nil {
		e.wire.tunnel(e, f)
	} else if err == nil {
		goOn, err = e.wire.send(e, f)
	}
	if err != nil {
		goOn = e.fail(err)
	}
	if x.Resp.Body != nil {
		x.Resp.Body.Close()
	}
	x.Note.Total = x.Loop.Now() - begin
	if x.Note.Frontend != "" {
		x.Note.FeConn = f.conns.Count()
		x.Note.ActConn = x.Note.FeConn
		if f.o.Process != nil {
			x.Note.ActConn = f.o.Process.Count()
		}
		f.Stats.Active.Add(-1)
	}
	e.log(f)
	if x.Req.Body != nil {
		if goOn && !drain(x.Req.Body) {
			goOn = false
		}
		x.Req.Body.Close()
	}
	if !goOn {
		e.wire.hangUp()
	}
	return goOn
}

// wreck ends an exchange whose task panicked. It may park.
func (e *exchange) wreck(v any) {
	x := &e.Exchange
	x.Note.Err, x.Note.Cause = fmt.Errorf("panic: %v", v), 'I'
	f := e.conn.room.ln.first()
	if e.entry != nil {
		f = e.entry.Frontend
		if x.Note.Frontend != "" && x.Note.Total < 0 {
			f.Stats.Active.Add(-1)
		}
	}
	if x.Note.Total < 0 { // else it has its line
		if x.Note.Status >= 0 || x.Note.Mode == h1.TCP || e.wire.page(e, 500, true) != nil {
			e.wire.cut()
		}
		e.log(f)
	}
	if x.Resp.Body != nil {
		x.Resp.Body.Close()
	}
	e.wire.hangUp()
}

// log writes the exchange's line.
func (e *exchange) log(f *Frontend) {
	if l := f.log(); l != nil {
		l.Exchange(&e.Exchange)
	}
}

// drain reads what is left of a request whose answer is complete, as far as it is here already: the next request follows
// it. It reports whether it found the end.
func drain(b h1.Body) bool {
	const most = 64 << 10
	for n := 0; n < most; {
		p, err := b.Next(false)
		if err != nil {
			return err == io.EOF
		}
		if p.Len() == 0 {
			return false
		}
		n += p.Len()
	}
	return false
}

// received reports whether the request's content has come completely, so that the connection can go on.
func received(x *h1.Exchange) bool {
	c, ok := x.Req.Body.(interface{ Done() bool })
	return x.Req.Body == nil || ok && c.Done()
}

// send is carrier's.
func (c *conn) send(e *exchange, f *Frontend) (goOn bool, err error) {
	x := &e.Exchange
	req, resp := &x.Req, &x.Resp
	goOn = !req.Close && !f.o.HTTPClose && !c.room.ln.closing.Load() && received(x)
	s := h1.Sender{Conn: &c.Conn, Patience: f.t.Client}
	b := x.Loop.Small()
	b = h1.AppendStatusLine(b, resp)
	if x.Own.Len() > 0 {
		overrule(x)
	}
	if e.hsts() != "" {
		resp.Header.Del(h1.StrictTransportSecurity)
	}
	b = resp.Header.AppendTo(b)
	b = x.Own.AppendTo(b)
	if resp.Body != nil && resp.Length < 0 {
		if req.Minor >= 1 {
			s.Chunked = true
			b = append(b, "Transfer-Encoding: chunked\r\n"...)
		} else {
			goOn = false
			c.endless = true
		}
	}
	b = e.endHead(b, !resp.Header.Has(h1.Date), goOn)
	s.Head = b
	s.Prompt = !goOn // the client's time for the answer counts, and not that for the end of the connection
	head := int64(len(b))
	x.Note.Status = resp.Status
	err = s.Send(resp.Body)
	x.Loop.PutSmall(b)
	if s.Head != nil { // the content failed before a byte was written: there is still time for a page
		x.Note.Status = -1
		return false, err
	}
	x.Note.BytesOut += head + s.Sent
	return goOn && err == nil, err
}

// overrule takes out of the response what its own part replaces: a name in Own counts alone, but for Set-Cookie, of which
// there may be many. Cache-Control replaces its relatives for other caches too (RFC 9213), which would overrule it.
func overrule(x *h1.Exchange) {
	for i := range x.Own.Len() {
		switch id, name, _ := x.Own.At(i); {
		case id == h1.SetCookie || name == nil:
		case id == h1.CacheControl:
			x.Resp.Header.Del(h1.CacheControl)
			x.Resp.Header.Del(h1.CDNCacheControl)
			x.Resp.Header.Del(h1.SurrogateControl)
		case id != 0:
			x.Resp.Header.Del(id)
		default:
			x.Resp.Header.DelName(string(name))
		}
	}
}

// endHead appends the lines that are about this connection, and the empty one. "An origin server or gateway with a clock that
// receives a response without a Date adds one" (RFC 9110 6.6.1).
func (e *exchange) endHead(b []byte, date, goOn bool) []byte {
	if date {
		b = append(h1.AppendDate(append(b, "Date: "...), e.Loop.Unix()/1000), "\r\n"...)
	}
	b = e.addHSTS(b)
	switch {
	case !goOn:
		b = append(b, "Connection: close\r\n"...)
	case e.Req.Minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

// fail tells the client of an exchange that failed, as long as nothing was told yet, and notes who is to blame. It reports whether
// the connection can go on.
func (e *exchange) fail(err error) bool {
	x := &e.Exchange
	he, ok := errors.AsType[*h1.Error](err)
	if !ok {
		he = &h1.Error{Status: 500, Side: h1.ByProxy, Err: err, Cause: 'I'}
	}
	n := &x.Note
	n.Err = he
	if e.conn.killed {
		n.Cause = 'K'
	} else if he.Cause != 0 {
		n.Cause = he.Cause
	} else {
		n.Cause = [...]byte{'P', 'C', 'S'}[he.Side]
	}
	if he.State != 0 {
		n.State = he.State
	} else if n.State == '-' {
		n.State = 'H'
	}
	if n.Status >= 0 || he.Status == 0 || e.wire.deaf() {
		// In the middle of the answer: only the end of the connection, or of the stream, says that it is not whole.
		e.wire.cut()
		return false
	}
	goOn := !x.Req.Close && !e.entry.Frontend.o.HTTPClose && received(x) && !e.conn.room.ln.closing.Load() && he.Side != h1.ByClient && he.Status != 400
	if e.wire.page(e, he.Status, !goOn) != nil {
		return false
	}
	return goOn
}

// cut ends a connection so that the client notices: without TLS's close_notify, and with what is queued lost. Content that only the end of
// the connection ends must be cut by a reset.
func (c *conn) cut() {
	c.aborted = true
	if c.endless && c.T == nil {
		c.C.Reset()
	}
	c.C.Close()
}

// deaf is carrier's.
func (c *conn) deaf() bool { return c.C.Closed() }

// page is carrier's.
func (c *conn) page(e *exchange, status int, last bool) error {
	p := pageOf(status)
	b := append(e.Loop.Small(), e.headOf(p)...)
	b = e.endHead(b, true, !last)
	if string(e.Req.Method) != "HEAD" {
		b = append(b, p.body...)
	}
	c.C.SetWriteTimeout(lingerTime)
	err := c.Write(b)
	e.Note.Status = status
	e.Note.BytesOut += int64(len(b))
	e.Loop.PutSmall(b)
	return err
}

// pageRules returns the frontend's rules for its own pages, nil for none: those for requests that could not be read, and for a supervisor,
// have none.
func (e *exchange) pageRules() *h1.Rules {
	if e.entry == nil || e.Note.Bad || e.Note.Frontend == "" {
		return nil
	}
	return e.entry.Frontend.answers
}

// headOf returns the head of a page as the frontend's rules have it.
func (e *exchange) headOf(p *page) []byte {
	x, rules := &e.Exchange, e.pageRules()
	if rules == nil {
		return p.head
	}
	r := &x.Resp
	r.Status, r.Reason = p.status, []byte(p.reason)
	r.Header.Reset()
	p.addTo(&r.Header)
	rules.Response(x)
	return r.Header.AppendTo(h1.AppendStatusLine(nil, r))
}

// interim is carrier's. HTTP/1.0 has none (RFC 9110 15.2).
func (c *conn) interim(e *exchange, r *h1.Response) error {
	if e.Req.Minor == 0 {
		return nil
	}
	b := h1.AppendStatusLine(e.Loop.Small(), r)
	b = append(r.Header.AppendTo(b), "\r\n"...)
	c.C.SetWriteTimeout(e.entry.Frontend.t.Client)
	err := c.Write(b)
	e.Note.BytesOut += int64(len(b))
	e.Loop.PutSmall(b)
	return err
}

// probe answers a supervisor's request for monitor's uri. Nobody logs it.
func (e *exchange) probe(f *Frontend) bool {
	f.Stats.Monitored.Add(1)
	status := 200
	if f.o.Usable != nil && !f.o.Usable() || e.conn.room.ln.failing.Load() {
		status = 503
	}
	last := e.Req.Close || e.Req.Body != nil
	return e.wire.page(e, status, last) == nil && !last
}

// pathIs reports whether the target's path is that one.
func pathIs(target []byte, path string) bool {
	return len(target) >= len(path) && string(target[:len(path)]) == path &&
		(len(target) == len(path) || target[len(path)] == '?')
}

// tunnel is carrier's: it sends the 101 first.
func (c *conn) tunnel(e *exchange, f *Frontend) {
	x := &e.Exchange
	server := x.Resp.Tunnel
	if e.hsts() != "" {
		x.Resp.Header.Del(h1.StrictTransportSecurity)
	}
	b := h1.AppendStatusLine(x.Loop.Small(), &x.Resp)
	b = x.Resp.Header.AppendTo(b)
	b = e.addHSTS(x.Own.AppendTo(b))
	b = append(b, "Connection: upgrade\r\nUpgrade: "...)
	b = append(append(b, x.Req.Upgrade...), "\r\n\r\n"...)
	x.Note.Status = x.Resp.Status
	n := int64(len(b))
	c.C.SetWriteTimeout(f.t.Client)
	err := c.Write(b)
	x.Loop.PutSmall(b)
	if err != nil {
		server.Close()
		e.fail(&h1.Error{Side: h1.ByClient, Err: err, State: 'D'})
		return
	}
	up, down, side, err := h1.Tunnel(&c.Conn, server, f.t.Tunnel)
	x.Note.BytesIn += up
	x.Note.BytesOut += n + down
	if err != nil {
		e.fail(&h1.Error{Side: side, Err: err, State: 'D'})
	}
	server.Close()
}

// limitedBody is content whose length is known at its end only, under limits.body.
type limitedBody struct {
	h1.Body
	left int64
}

// Next is h1.Body's.
func (b *limitedBody) Next(wait bool) (h1.Piece, error) {
	p, err := b.Body.Next(wait)
	if b.left -= int64(p.Len()); b.left < 0 {
		return h1.Piece{}, &h1.Error{Status: 413, Side: h1.ByClient, Err: errBodySize, Cause: 'P', State: 'D'}
	}
	return p, err
}

// Ready reports whether the next piece is here.
func (b *limitedBody) Ready() bool {
	r, ok := b.Body.(interface{ Ready() bool })
	return ok && r.Ready()
}

// Interrupt ends a wait for the next piece.
func (b *limitedBody) Interrupt() {
	if i, ok := b.Body.(interface{ Interrupt() }); ok {
		i.Interrupt()
	}
}

// Done reports whether the whole content has come.
func (b *limitedBody) Done() bool {
	d, ok := b.Body.(interface{ Done() bool })
	return ok && d.Done()
}
