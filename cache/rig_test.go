package cache

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// rig is a cache on loops without sockets, with an origin behind it that is a function.
type rig struct {
	t     *testing.T
	loops []*loop.Loop
	cache *Cache

	mu     sync.Mutex
	origin func(x *h1.Exchange) error
	seen   []string // what the origin was asked: "METHOD target"
}

// bubble runs f with a rig of n loops in a synctest bubble.
func bubble(t *testing.T, n int, c *Config, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, n, c)
		defer r.close()
		f(r)
	})
}

func newRig(t *testing.T, n int, c *Config) *rig { return newRigWith(t, n, c, Options{}) }

func newRigWith(t *testing.T, n int, c *Config, o Options) *rig {
	r := &rig{t: t}
	for i := range n {
		l := loop.NewMem(i)
		l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
		r.loops = append(r.loops, l)
	}
	if c == nil {
		c = &Config{}
	}
	if c.Memory == 0 {
		c.Memory = 64 << 20
	}
	if c.MaxObject == 0 {
		c.MaxObject = 8 << 20
	}
	o.Loops, o.Backend = r.loops, "web"
	r.cache = New(c, h1.RoundTripFunc(r.ask), o)
	r.cache.TakeOver()
	return r
}

func (r *rig) close() {
	r.cache.Close()
	for _, l := range r.loops {
		l.Stop()
	}
}

func (r *rig) ask(x *h1.Exchange) error {
	r.mu.Lock()
	r.seen = append(r.seen, string(x.Req.Method)+" "+string(x.Req.Target))
	f := r.origin
	r.mu.Unlock()
	return f(x)
}

// asked returns how often the origin was asked since the last call.
func (r *rig) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.seen)
	r.seen = nil
	return n
}

// answers makes the origin answer like that from now on: a head, an empty line, content.
func (r *rig) answers(text string) {
	r.origins(func(x *h1.Exchange) error { return reply(x, text) })
}

func (r *rig) origins(f func(x *h1.Exchange) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.origin = f
}

// reply fills the response from text: head lines, an empty line, content. A head without a framing gets a Content-Length.
func reply(x *h1.Exchange, text string) error {
	head, content, _ := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n")
	low := strings.ToLower(head)
	if !strings.Contains(low, "\ncontent-length:") && !strings.Contains(low, "transfer-encoding:") {
		head += fmt.Sprintf("\nContent-Length: %d", len(content))
	}
	if err := parseHead(x, head); err != nil {
		return err
	}
	if x.Resp.Framing != h1.NoContent {
		x.Resp.Body = &pieces{l: x.Loop, list: []string{content}}
	}
	return nil
}

func parseHead(x *h1.Exchange, head string) error {
	b := []byte(strings.ReplaceAll(strings.TrimSuffix(head, "\n"), "\n", "\r\n") + "\r\n\r\n")
	if n, err := x.Resp.Parse(b, x.Req.Method, nil); err != nil || n != len(b) {
		return errors.Join(err, fmt.Errorf("test answer %q: %d of %d bytes", head, n, len(b)))
	}
	return nil
}

// pieces is content that takes its time.
type pieces struct {
	l      *loop.Loop
	list   []string
	pause  time.Duration // before each piece
	err    error         // in the place of io.EOF
	closed func()
	next   int
	event  loop.Event
}

func (p *pieces) Next(wait bool) (h1.Piece, error) {
	if p.next == len(p.list) {
		if p.err != nil {
			return h1.Piece{}, p.err
		}
		return h1.Piece{}, io.EOF
	}
	if p.pause > 0 {
		if !wait {
			return h1.Piece{}, nil
		}
		p.event.Wait(p.l, p.pause)
		if p.event.IsSet() {
			return h1.Piece{}, &h1.Error{Side: h1.ByServer, Err: errors.New("cancelled")}
		}
	}
	p.next++
	return h1.PieceOf([]byte(p.list[p.next-1])), nil
}

func (p *pieces) Trailer() *h1.Header { return nil }

func (p *pieces) Close() {
	if p.closed != nil {
		p.closed()
	}
}

// answer is what a client got.
type answer struct {
	status int
	head   string
	field  h1.Header
	own    string
	body   string
	err    error
	took   time.Duration
	note   string
	by     string // the backend, for the log
}

// status returns the cache's own Cache-Status, without "gatehouse; ".
func (a *answer) verdict() string {
	s := ""
	for i := a.field.IndexName("Cache-Status", 0); i >= 0; i = a.field.IndexName("Cache-Status", i+1) {
		s = string(a.field.Value(i))
	}
	return strings.TrimPrefix(s, "gatehouse; ")
}

func (a *answer) get(name string) string { return string(a.field.GetName(name)) }

// hit reports whether the answer came from what is stored.
func (a *answer) hit() bool { return strings.HasPrefix(a.verdict(), "hit") }

// request is a client's request and how the client behaves.
type request struct {
	text  string        // "GET /path" and field lines
	loop  int           // which one
	peer  string        // address
	pause time.Duration // before each piece
	quit  int           // stop reading after so many bytes; 0: never
	tls   bool
}

// start starts a request and returns where its answer will be.
func (r *rig) start(q request) <-chan *answer {
	done := make(chan *answer, 1)
	l := r.loops[q.loop]
	l.Post(func() {
		l.Go(loop.Func(func() { done <- r.serve(l, q) }))
	})
	return done
}

func (r *rig) serve(l *loop.Loop, q request) *answer {
	x := &h1.Exchange{Loop: l}
	x.Reset()
	return r.exchange(x, q)
}

func (r *rig) exchange(x *h1.Exchange, q request) *answer {
	a := &answer{}
	line, fields, _ := strings.Cut(q.text, "\n")
	text := line + " HTTP/1.1\r\n"
	if !strings.Contains(strings.ToLower("\n"+fields), "\nhost:") {
		text += "Host: shop.example.com\r\n"
	}
	for f := range strings.SplitSeq(fields, "\n") {
		if f != "" {
			text += f + "\r\n"
		}
	}
	if _, err := x.Req.Parse([]byte(text+"\r\n"), nil); err != nil {
		a.err = err
		return a
	}
	x.Req.Secure = q.tls
	if q.peer == "" {
		q.peer = "192.0.2.1"
	}
	x.Peer = netip.AddrPortFrom(netip.MustParseAddr(q.peer), 1234)
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	if a.err = r.cache.RoundTrip(x); a.err != nil {
		return a
	}
	a.status = x.Resp.Status
	a.head = string(x.Resp.Header.AppendTo(nil))
	a.field.CopyFrom(&x.Resp.Header)
	a.own = string(x.Own.AppendTo(nil))
	a.note, a.by = x.Note.Cache, x.Note.Backend
	if x.Resp.Body != nil {
		for q.quit == 0 || len(a.body) < q.quit {
			if q.pause > 0 {
				x.Loop.Sleep(q.pause)
			}
			p, err := x.Resp.Body.Next(true)
			if err != nil {
				if err != io.EOF {
					a.err = err
				}
				break
			}
			a.body += string(p.Data())
			if p.Last {
				break
			}
		}
		x.Resp.Body.Close()
	}
	return a
}

// get is a GET by a client that waits for the answer.
func (r *rig) get(text string) *answer {
	r.t.Helper()
	return r.do(request{text: "GET " + text})
}

func (r *rig) do(q request) *answer {
	r.t.Helper()
	a := <-r.start(q)
	if a.err != nil {
		r.t.Errorf("%s: %v", q.text, a.err)
	}
	return a
}

// sleep lets time pass, and everything that is due in it happen.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
