package house_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
	"gatehouse/tlsconf/acmetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, acmetest.Leaks()...) }

// patience is how long anything in these tests may take that should take no time.
const patience = 20 * time.Second

// plan is a site to be built: what stands in its blocks, and who answers. Servers are called A, B and so on.
type plan struct {
	front   string // attributes and blocks of the frontend
	back    string // of the backend
	bind    string // of its one bind
	global  string
	log     string    // of the log block, whose lines are JSON
	access  io.Writer // gets them in the place of the rig's book
	more    string    // further blocks
	tls     bool
	loops   int // 2 unless said
	servers []*origin
	at      []string // addresses that stand before the servers
}

// rig is a whole house on loopback: listener, pool, log, and pretend servers behind it.
type rig struct {
	testing.TB
	h     *house.House
	loops []*loop.Loop
	lines *logBook
	tls   bool
	addr  string

	down sync.Once
}

func build(t testing.TB, p plan) *rig {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	fmt.Fprintf(&b, "global {\n state_dir = %q\n %s\n}\n", dir, p.global)
	if !strings.Contains(p.log, "format") {
		p.log += "\n format = \"json\""
	}
	fmt.Fprintf(&b, "log \"access\" {\n%s\n}\n", p.log)
	if p.tls {
		b.WriteString("tls \"own\" { internal = true }\n")
		p.bind += "\n tls = tls.own"
		p.front += "\n hosts = [\"a.test\"]"
	}
	fmt.Fprintf(&b, "frontend \"www\" {\n bind \"127.0.0.1:1\" {\n%s\n}\n backend = backend.app\n log = log.access\n %s\n}\n", p.bind, p.front)
	fmt.Fprintf(&b, "backend \"app\" {\n %s\n", p.back)
	for _, o := range p.servers {
		p.at = append(p.at, o.addr)
	}
	for i, a := range p.at {
		fmt.Fprintf(&b, " server %q %q {}\n", string(rune('A'+i)), a)
	}
	fmt.Fprintf(&b, "}\n%s\n", p.more)
	return raise(t, dir, b.String(), p)
}

// raise builds the house of a whole configuration, on ports the kernel chooses. Of p the loops, tls and access count.
func raise(t testing.TB, dir, text string, p plan) *rig {
	t.Helper()
	name := filepath.Join(dir, "gatehouse.hcl")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, diags := config.Load([]string{name}, config.Options{})
	if diags.HasErrors() {
		var out strings.Builder
		diags.Print(&out)
		t.Fatalf("configuration:\n%s\n%s", text, out.String())
	}
	for _, f := range file.Frontends {
		for _, b := range f.Binds {
			b.Address = b.Address.WithPort(0) // which an operator cannot write
		}
	}
	r := &rig{TB: t, lines: newLogBook(), tls: p.tls}
	for i := range max(p.loops, 1) {
		l, err := loop.New(i)
		if err != nil {
			t.Fatal(err)
		}
		l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
		r.loops = append(r.loops, l)
	}
	var err error
	if p.access == nil {
		p.access = r.lines
	}
	r.h, err = house.New(file, house.Options{Loops: r.loops, Log: zap.NewNop(), AccessLog: p.access})
	if err == nil {
		err = r.h.Start()
	}
	t.Cleanup(func() { r.shutdown(0) })
	if err != nil {
		t.Fatal(err)
	}
	r.addr = r.h.Addresses()[0].String()
	return r
}

// shutdown ends the house, with so much grace for what is under way, and reports what Shutdown said.
func (r *rig) shutdown(grace time.Duration) (err error) {
	r.down.Do(func() {
		if r.h != nil {
			ctx, cancel := context.WithTimeout(context.Background(), grace)
			defer cancel()
			err = r.h.Shutdown(ctx)
		}
		for _, l := range r.loops {
			l.Stop()
		}
	})
	return err
}

// client connects to the house.
func (r *rig) client() *wire {
	r.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.Fatal(err)
	}
	if r.tls {
		tc := tls.Client(nc, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true})
		nc.SetDeadline(time.Now().Add(patience))
		if err := tc.Handshake(); err != nil {
			r.Fatal(err)
		}
		nc = tc
	}
	w := newWire(r.TB, nc)
	r.Cleanup(func() { nc.Close() })
	return w
}

// line returns the next line of the access log.
func (r *rig) line() logLine {
	r.Helper()
	select {
	case l := <-r.lines.lines:
		return l
	case <-time.After(patience):
		r.Fatal("no line in the log")
		return logLine{}
	}
}

// noLine checks that the log has no line that nobody asked for.
func (r *rig) noLine() {
	r.Helper()
	select {
	case l := <-r.lines.lines:
		r.Errorf("a line in the log: %+v", l)
	default:
	}
}

// logLine is what these tests look at in a line of the access log.
type logLine struct {
	Status       int
	Server       string
	Method, Path string
	Protocol     string
	Termination  string
	Error        string
	Retries      int
	Redispatched bool
	BytesIn      int64 `json:"bytes_in"`
	BytesOut     int64 `json:"bytes_out"`
	Bad          bool  `json:"bad_request"`
	Queue        int64 `json:"queue_ms"`
	Connect      int64 `json:"connect_ms"`
	Total        int64 `json:"total_ms"`
}

// logBook takes an access log apart.
type logBook struct {
	lines chan logLine
	part  []byte
}

func newLogBook() *logBook { return &logBook{lines: make(chan logLine, 100_000)} }

func (b *logBook) Write(p []byte) (int, error) {
	b.part = append(b.part, p...)
	for {
		i := bytes.IndexByte(b.part, '\n')
		if i < 0 {
			return len(p), nil
		}
		var l logLine
		if err := json.Unmarshal(b.part[:i], &l); err != nil {
			l.Error = "not JSON: " + string(b.part[:i])
		}
		b.part = b.part[i+1:]
		select {
		case b.lines <- l:
		default:
		}
	}
}

// origin is a pretend server on loopback: each connection is served by a function, and all it sent is remembered.
type origin struct {
	testing.TB
	addr  string
	serve func(*wire)

	mu    sync.Mutex // guards what follows
	news  *sync.Cond
	ln    net.Listener
	open  map[*wire]struct{}
	saw   bytes.Buffer // everything on all connections
	count int          // connections
	asked int          // requests that reply has answered
	wg    sync.WaitGroup
}

// newOrigin starts a server. serve nil: it answers every request with 200.
func newOrigin(t testing.TB, serve func(*wire)) *origin {
	t.Helper()
	o := &origin{TB: t, serve: serve, open: map[*wire]struct{}{}, addr: "127.0.0.1:0"}
	o.news = sync.NewCond(&o.mu)
	if o.serve == nil {
		o.serve = o.ok
	}
	o.start()
	t.Cleanup(o.stop)
	return o
}

// gatedOrigin starts a server that answers every request with 200, and those for target only when gate is closed.
func gatedOrigin(t testing.TB, target string, gate <-chan struct{}) *origin {
	t.Helper()
	return newOrigin(t, func(w *wire) {
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			if q.target == target {
				<-gate
			}
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
}

// start listens, again at the same address after a stop.
func (o *origin) start() {
	o.Helper()
	ln, err := net.Listen("tcp", o.addr)
	if err != nil {
		o.Fatal(err)
	}
	o.mu.Lock()
	o.ln, o.addr = ln, ln.Addr().String()
	o.mu.Unlock()
	o.wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			o.mu.Lock()
			w := newWire(o.TB, nc)
			w.n, w.saw = o.count, o
			o.count++
			o.open[w] = struct{}{}
			if o.ln != ln {
				nc.Close()
			}
			o.mu.Unlock()
			o.wg.Go(func() {
				defer func() {
					nc.Close()
					o.mu.Lock()
					delete(o.open, w)
					o.mu.Unlock()
				}()
				o.serve(w)
			})
		}
	})
}

// stop ends the server and its connections, as if it were killed.
func (o *origin) stop() {
	o.mu.Lock()
	if o.ln != nil {
		o.ln.Close()
		o.ln = nil
	}
	for w := range o.open {
		w.Close()
	}
	o.mu.Unlock()
	o.wg.Wait()
}

// seen returns all that came in.
func (o *origin) seen() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.saw.String()
}

// got waits until the server has got s.
func (o *origin) got(s string) {
	o.Helper()
	late := false
	t := time.AfterFunc(patience, func() {
		o.mu.Lock()
		late = true
		o.mu.Unlock()
		o.news.Broadcast()
	})
	defer t.Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for !strings.Contains(o.saw.String(), s) {
		if late {
			o.Fatalf("the server got %q, not %q", o.saw.String(), s)
		}
		o.news.Wait()
	}
}

// conns returns how many connections were made.
func (o *origin) conns() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

// requests returns how many requests ok has answered.
func (o *origin) requests() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

// ok serves requests: 200, with a field that says what came.
func (o *origin) ok(w *wire) {
	for {
		q, err := w.request()
		if err != nil {
			return
		}
		o.mu.Lock()
		o.asked++
		o.mu.Unlock()
		if q.upgrade() {
			w.send("HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		body := fmt.Sprintf("%s %s %d", q.method, q.target, len(q.body))
		if q.method == "HEAD" {
			w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)))
		} else {
			w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		}
	}
}

// say is a server that answers each request, once it is whole, with the same bytes, and goes on.
func say(answer string) func(*wire) {
	return func(w *wire) {
		for {
			if _, err := w.request(); err != nil {
				return
			}
			if w.send(answer) != nil {
				return
			}
		}
	}
}

// wire is one end of a connection, raw.
type wire struct {
	testing.TB
	net.Conn
	r   *bufio.Reader
	n   int     // which connection of its origin
	saw *origin // whose record it keeps; nil: none
}

func newWire(t testing.TB, nc net.Conn) *wire {
	w := &wire{TB: t, Conn: nc}
	w.r = bufio.NewReaderSize(w, 64<<10)
	nc.SetDeadline(time.Now().Add(patience))
	return w
}

// Read is net.Conn's, and remembers.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if w.saw != nil && n > 0 {
		w.saw.mu.Lock()
		if w.saw.saw.Len() < 1<<20 {
			w.saw.saw.Write(p[:n])
			w.saw.news.Broadcast()
		}
		w.saw.mu.Unlock()
	}
	return n, err
}

// send writes s.
func (w *wire) send(s string) error {
	_, err := io.WriteString(w.Conn, s)
	return err
}

// closeWrite ends this side.
func (w *wire) closeWrite() {
	w.Helper()
	if err := w.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		w.Error(err)
	}
}

// reset ends the connection by a reset.
func (w *wire) reset() {
	if c, ok := w.Conn.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	w.Conn.Close()
}

// head reads a head, its empty line included.
func (w *wire) head() (string, error) {
	var b strings.Builder
	for {
		line, err := w.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String(), err
		}
		if line == "\r\n" {
			return b.String(), nil
		}
	}
}

// take reads n bytes.
func (w *wire) take(n int) (string, error) {
	b := make([]byte, n)
	n, err := io.ReadFull(w.r, b)
	return string(b[:n]), err
}

// rest reads to the end of the connection. The error is nil when that is a regular one.
func (w *wire) rest() (string, error) {
	b, err := io.ReadAll(w.r)
	return string(b), err
}

// ended checks that the house has closed the connection, without a further byte.
func (w *wire) ended() {
	w.Helper()
	if s, err := w.rest(); s != "" || err != nil && !isReset(err) {
		w.Errorf("the connection goes on: %.200q, %v", s, err)
	}
}

func isReset(err error) bool {
	var oe *net.OpError
	return errors.As(err, &oe) && !oe.Timeout()
}

// request is a request as a pretend server reads it.
type request struct {
	method, target, head, body string
}

func (q *request) upgrade() bool { return strings.Contains(strings.ToLower(q.head), "\r\nupgrade:") }

// field returns the value of a field of a head, and whether there is exactly one.
func field(head, name string) (string, bool) {
	value, n := "", 0
	for line := range strings.SplitSeq(head, "\r\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(k, name) {
			value = strings.TrimSpace(v)
			n++
		}
	}
	return value, n == 1
}

// request reads a request with its content, by the letter: it fails the test where the house has written what it must not.
func (w *wire) request() (*request, error) {
	head, err := w.head()
	if err != nil {
		if head != "" && w.saw != nil && !errors.Is(err, net.ErrClosed) && !isReset(err) && err != io.EOF {
			w.Errorf("half a head: %q", head)
		}
		return nil, err
	}
	q := &request{head: head}
	line, _, _ := strings.Cut(head, "\r\n")
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[2] != "HTTP/1.1" {
		w.Errorf("request line %q", line)
		return nil, errors.New("malformed")
	}
	q.method, q.target = parts[0], parts[1]
	length, byLength := field(head, "Content-Length")
	_, chunked := field(head, "Transfer-Encoding")
	switch {
	case byLength && chunked:
		w.Errorf("two framings in %q", head)
		return nil, errors.New("malformed")
	case chunked:
		var b strings.Builder
		err = w.chunks(&b)
		q.body = b.String()
	case byLength:
		var n int
		fmt.Sscan(length, &n)
		q.body, err = w.take(n)
	}
	return q, err
}

// chunks reads chunked content, strictly, with its trailer section, which is dropped.
func (w *wire) chunks(to io.Writer) error {
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			return err
		}
		var n int64
		if _, err := fmt.Sscanf(line, "%x\r\n", &n); err != nil || fmt.Sprintf("%x\r\n", n) != line {
			return fmt.Errorf("chunk line %q", line)
		}
		if n == 0 {
			for line != "\r\n" {
				if line, err = w.r.ReadString('\n'); err != nil {
					return err
				}
			}
			return nil
		}
		if _, err := io.CopyN(to, w.r, n); err != nil {
			return err
		}
		if s, err := w.take(2); s != "\r\n" {
			return fmt.Errorf("a chunk followed by %q, %v", s, err)
		}
	}
}

// answer is a response as a client reads it.
type answer struct {
	status int
	head   string
	body   string
	close  bool
	http.Header
}

// answer reads a response to a request with that method.
func (w *wire) answer(method string) (*answer, error) {
	head, err := w.head()
	if err != nil {
		return nil, fmt.Errorf("head %.100q: %w", head, err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	a := &answer{status: resp.StatusCode, head: head, Header: resp.Header, close: resp.Close}
	if resp.StatusCode >= 200 {
		a.body, err = w.content(method, head)
		return a, err
	}
	return a, nil
}

// content reads the content of a response.
func (w *wire) content(method, head string) (string, error) {
	status := strings.Fields(head)[1]
	length, byLength := field(head, "Content-Length")
	_, chunked := field(head, "Transfer-Encoding")
	switch {
	case method == "HEAD" || status == "204" || status == "304" || status[0] == '1':
		return "", nil
	case chunked:
		var b strings.Builder
		err := w.chunks(&b)
		return b.String(), err
	case byLength:
		var n int
		fmt.Sscan(length, &n)
		return w.take(n)
	}
	return w.rest()
}

// ask sends a request and reads the answer to it.
func (w *wire) ask(request string) *answer {
	w.Helper()
	if err := w.send(request); err != nil {
		w.Fatalf("send %.100q: %v", request, err)
	}
	method, _, _ := strings.Cut(request, " ")
	a, err := w.answer(method)
	if err != nil {
		w.Fatalf("answer to %.100q: %v", request, err)
	}
	return a
}

var noTime time.Time

const get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
