package house_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fault is a server that misbehaves, and what the client is told of it (hostile-input.md 3.5).
type fault struct {
	name   string
	method string // GET unless said
	send   string // the server's answer; it keeps the connection open then
	hangUp bool   // it does not
	status int
	reason string // in the log's error
	body   string // what of the content the client gets
	cut    bool   // the client's connection ends in the middle of the answer
	reuse  bool   // the server's connection may carry the next request
}

var faults = []fault{
	{name: "84 two lengths", send: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", status: 502, reason: "two Content-Length"},
	{name: "84 negative length", send: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello", status: 502, reason: "not a number"},
	{name: "84 length and coding", send: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", status: 502, reason: "both"},
	{name: "85 bad first chunk", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n", status: 502, reason: "chunk size"},
	{name: "85 bad second chunk", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", status: 200, reason: "chunk size", body: "hello", cut: true},
	{name: "85 short content", send: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", hangUp: true, status: 200, reason: "connection closed", body: "hello", cut: true},
	{name: "85 short chunks", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", hangUp: true, status: 200, reason: "connection closed", body: "hel", cut: true},
	{name: "86 NUL", send: "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n", status: 502, reason: "control character"},
	{name: "86 CR", send: "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n", status: 502, reason: "CR"},
	{name: "86 fold", send: "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", status: 502, reason: "line"},
	{name: "87 not HTTP", send: "SSH-2.0-OpenSSH_9.2\r\n", status: 502, reason: "status line"},
	{name: "88 long head", send: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 66<<10) + "\r\nContent-Length: 0\r\n\r\n", status: 502, reason: "too long"},
	{name: "88 300 fields", send: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: a\r\n", 300) + "Content-Length: 0\r\n\r\n", status: 502, reason: "too many"},
	{name: "90 unasked 101", send: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", status: 502, reason: "nobody asked"},
	{name: "92 204 with content", send: "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", status: 204},
	{name: "92 204 with length", send: "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", status: 204},
	{name: "92 304 with content", send: "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", status: 304},
	{name: "92 HEAD with content", method: "HEAD", send: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", status: 200},
	{name: "91 more than was asked for", send: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", status: 200, body: "ok"},
	{name: "93 status 99", send: "HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n", status: 502, reason: "status"},
	{name: "93 status 1000", send: "HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n", status: 502, reason: "status"},
	{name: "93 no digits", send: "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", status: 502, reason: "status"},
	{name: "95 half a head", send: "HTTP/1.1 200 OK\r\nContent-", hangUp: true, status: 502, reason: "connection closed"},
	{name: "HTTP/2", send: "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", status: 502, reason: "status line"},
	{name: "well", send: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", reuse: true},
	{name: "well, HTTP/1.0", send: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok"},
	{name: "well, close", send: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok"},
}

// TestServerFaults plays each fault: the client is told, the log knows why, and the connection does not serve again.
func TestServerFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) { f.play(t) })
	}
}

func (f *fault) play(t *testing.T) {
	method := f.method
	if method == "" {
		method = "GET"
	}
	var asked atomic.Int64
	bad := newOrigin(t, func(w *wire) {
		for {
			if _, err := w.request(); err != nil {
				return
			}
			if asked.Add(1) > 1 {
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
				continue
			}
			w.send(f.send)
			if f.hangUp {
				return
			}
		}
	})
	r := build(t, plan{servers: []*origin{bad}})
	c := r.client()
	c.send(method + " /first HTTP/1.1\r\nHost: a\r\n\r\n")
	a, err := c.answer(method)
	if f.cut {
		if err == nil {
			t.Errorf("the answer looks whole: %q", a.head)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	if a == nil {
		t.Fatal("no answer")
	}
	if a.status != f.status {
		t.Errorf("status %d, want %d", a.status, f.status)
	}
	if f.status != 502 && a.body != f.body {
		t.Errorf("content %q, want %q", a.body, f.body)
	}
	line := r.line()
	if !strings.Contains(line.Error, f.reason) || (f.reason == "") != (line.Error == "") {
		t.Errorf("the log gives as the reason %q, want %q", line.Error, f.reason)
	}
	if line.Status != f.status || line.Server != "A" || line.Termination[0] == '-' != (f.reason == "") {
		t.Errorf("log line %+v", line)
	}
	if f.cut {
		c = r.client()
	}
	// The next request gets its own answer, and never on that connection.
	if a := c.ask("GET /second HTTP/1.1\r\nHost: a\r\n\r\n"); a.status != 200 || a.body != "next" {
		t.Errorf("the next answer is %d %q", a.status, a.body)
	}
	if n := bad.conns(); (n == 1) != f.reuse {
		t.Errorf("%d connections to the server", n)
	}
}

func TestInterimFlood(t *testing.T) {
	for _, n := range []int{16, 17, 2000} { // row 89
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			o := newOrigin(t, say(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", n-1)+
				"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
			r := build(t, plan{servers: []*origin{o}})
			c := r.client()
			c.send(get)
			interim := 0
			for {
				a, err := c.answer("GET")
				if err != nil {
					t.Fatal(err)
				}
				if a.status < 200 {
					interim++
					continue
				}
				want := 200
				if n >= 16 { // the sixteenth must have been the final one
					want = 502
				}
				if a.status != want || interim != 16 {
					t.Errorf("%d after %d interim responses", a.status, interim)
				}
				break
			}
		})
	}
}

// TestPushedResponse has a server send a second response on its idle connection (row 91): the next client never sees it.
func TestPushedResponse(t *testing.T) {
	push := make(chan struct{})
	pushed := make(chan struct{})
	o := newOrigin(t, func(w *wire) {
		for {
			if _, err := w.request(); err != nil {
				return
			}
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
			if w.n == 0 {
				<-push
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
				if s, _ := w.rest(); s != "" {
					w.Errorf("the connection carried %q", s)
				}
				close(pushed)
				return
			}
		}
	})
	r := build(t, plan{servers: []*origin{o}})
	c := r.client()
	if a := c.ask(get); a.body != "good" {
		t.Fatal(a.body)
	}
	close(push)
	<-pushed // which is when the house has dropped the connection
	if a := c.ask(get); a.body != "good" {
		t.Errorf("the client got %q", a.body)
	}
}

// TestStaleIdleConnections has the server end each connection after one answer without saying so: requests that can be sent again are, at
// once, and nobody notices.
func TestStaleIdleConnections(t *testing.T) {
	for _, how := range []string{"closed", "reset", "closed when asked", "reset when asked"} {
		t.Run(how, func(t *testing.T) {
			o := newOrigin(t, func(w *wire) {
				if _, err := w.request(); err != nil {
					return
				}
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				if strings.HasSuffix(how, "asked") {
					w.r.ReadByte()
				}
				if strings.HasPrefix(how, "reset") {
					w.reset()
				}
			})
			r := build(t, plan{servers: []*origin{o}})
			c := r.client()
			for i := range 50 {
				if a := c.ask(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)); a.status != 200 {
					t.Fatalf("request %d: %d", i, a.status)
				}
				if l := r.line(); l.Status != 200 || l.Error != "" || l.Retries > 1 {
					t.Fatalf("request %d: %+v", i, l)
				}
			}
		})
	}
}

// TestNoAnswer is row 95: what is told when the server ends the connection before it says a word, and how often it was asked.
func TestNoAnswer(t *testing.T) {
	for _, how := range []string{"FIN", "RST"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH", "BREW"} {
			t.Run(how+" "+method, func(t *testing.T) {
				var asked atomic.Int64
				o := newOrigin(t, func(w *wire) {
					if _, err := w.request(); err == nil {
						asked.Add(1)
						if how == "RST" {
							w.reset()
						}
					}
				})
				r := build(t, plan{servers: []*origin{o}})
				a := r.client().ask(method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
				want := int64(2)
				if method == "POST" || method == "PATCH" || method == "BREW" {
					want = 1
				}
				if a.status != 502 || asked.Load() != want {
					t.Errorf("%d, and the server was asked %d times, want %d", a.status, asked.Load(), want)
				}
				if l := r.line(); l.Termination[:2] != "SH" || !strings.Contains(l.Error, "answer of A") {
					t.Errorf("log line %+v", l)
				}
			})
		}
	}
}

// TestNoAnswerFromOneOfTwo sends what may be sent again to another server.
func TestNoAnswerFromOneOfTwo(t *testing.T) {
	dead := newOrigin(t, func(w *wire) { w.request() })
	well := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{dead, well}})
	for range 4 {
		if a := r.client().ask(get); a.status != 200 {
			t.Errorf("GET: %d", a.status)
		}
	}
	for range 4 {
		if a := r.client().ask("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"); a.status != 200 && a.status != 502 {
			t.Errorf("PUT: %d", a.status) // whose content is gone: it is not sent again
		}
	}
}

func TestServerTimeout(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(w *wire) { w.request(); w.rest() })
	r := build(t, plan{servers: []*origin{o}, back: `timeouts { server = "100ms" }`})
	c := r.client()
	if a := c.ask(get); a.status != 504 || a.close {
		t.Errorf("%d, close %v", a.status, a.close)
	}
	if l := r.line(); l.Termination[:2] != "sH" || !strings.Contains(l.Error, "no answer in time") && !strings.Contains(l.Error, "nothing came in time") {
		t.Errorf("log line %+v", l)
	}
	// Content that is sent and not answered is no other case.
	if a := c.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"); a.status != 504 {
		t.Errorf("%d", a.status)
	}
	if n := o.conns(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestServerStallsInTheMiddle(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(w *wire) {
		w.request()
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		w.rest()
	})
	r := build(t, plan{servers: []*origin{o}, back: `timeouts { server = "100ms" }`})
	c := r.client()
	c.send(get)
	if a, err := c.answer("GET"); err == nil || a.body != "hello" {
		t.Errorf("%+v, %v", a, err)
	}
	if l := r.line(); l.Termination[:2] != "sD" || l.Status != 200 {
		t.Errorf("log line %+v", l)
	}
}

// TestCutWithoutLength is an answer that only the end of the connection would end: when the server breaks off, the client of HTTP/1.0 must not
// take what it has for the whole.
func TestCutWithoutLength(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(w *wire) {
		w.request()
		w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
		w.r.Peek(1)
	})
	r := build(t, plan{servers: []*origin{o}, back: `timeouts { server = "100ms" }`})
	c := r.client()
	c.send("GET / HTTP/1.0\r\n\r\n")
	a, err := c.answer("GET")
	if a == nil || a.body != "hello" || !isReset(err) {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestEarlyAnswers repeats requests whose server answers before it has read them, and then reads on or ends the connection (row 94): every client
// gets its own answer.
func TestEarlyAnswers(t *testing.T) {
	// A server that says that it ends the connection is never sent another request there, so none may be lost.
	t.Run("announced", func(t *testing.T) { earlyAnswers(t, "Connection: close\r\n", 0) })
	// From one that does not, the end may cross the next request, which is a POST: nobody can tell whether it was read, so it is not sent
	// again (RFC 9110 9.2.2), and the client is told. That can happen to the requests under way when the server first does so, one of each client; from
	// then on it is known for that.
	t.Run("unannounced", func(t *testing.T) { earlyAnswers(t, "", earlyClients) })
}

const earlyClients = 4

// earlyAnswers has every other connection ended after its first answer, which has that field in it. At most so many requests
// may be lost, none of which the server has read.
func earlyAnswers(t *testing.T, last string, mayLose int64) {
	var read sync.Map // tags
	var n, lost atomic.Int64
	o := newOrigin(t, func(w *wire) {
		for {
			head, err := w.head()
			if err != nil {
				return
			}
			tag, _ := field(head, "X-Tag")
			length, _ := field(head, "Content-Length")
			if _, twice := read.LoadOrStore(tag, true); twice {
				t.Errorf("request %s came twice", tag)
			}
			n.Add(1)
			// Some servers read on, some do not.
			ends := w.n%2 == 0
			more := ""
			if ends {
				more = last
			}
			w.send(fmt.Sprintf("HTTP/1.1 403 No\r\n%sContent-Length: %d\r\n\r\n%s", more, len(tag), tag))
			var size int
			fmt.Sscan(length, &size)
			if ends {
				return
			}
			if _, err := w.take(size); err != nil {
				return
			}
		}
	})
	r := build(t, plan{servers: []*origin{o}, loops: 2})
	total := 5_000
	if testing.Short() || raceEnabled {
		total = 1_000
	}
	var wg sync.WaitGroup
	for k := range earlyClients {
		wg.Go(func() {
			var c *wire
			for i := range total / earlyClients {
				if c == nil {
					nc, err := net.Dial("tcp", r.addr)
					if err != nil {
						t.Error(err)
						return
					}
					c = newWire(t, nc)
				}
				tag := fmt.Sprintf("%d-%d", k, i)
				size := []int{1, 100, 5_000, 200_000}[i%4]
				c.SetDeadline(time.Now().Add(patience))
				go c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nX-Tag: %s\r\nContent-Length: %d\r\n\r\n%s", tag, size, strings.Repeat("x", size)))
				a, err := c.answer("POST")
				if _, taken := read.Load(tag); err == nil && a.status == 502 && !taken && lost.Add(1) <= mayLose {
					t.Logf("request %s crossed the end of a connection", tag)
				} else if err != nil || a.body != tag || a.status != 403 {
					t.Errorf("request %s, read %v: %+v, %v", tag, taken, a, err)
					c.Close()
					return
				}
				if a.close {
					c.Close()
					c = nil
				}
			}
			if c != nil {
				c.Close()
			}
		})
	}
	wg.Wait()
	if got := n.Load(); got != int64(total)-lost.Load() {
		t.Errorf("the servers read %d requests of %d, and %d were lost", got, total, lost.Load())
	}
}

// TestHastyServer is one that ended a connection right after an answer, without a word: what cannot be sent twice gets connections of
// its own from then on, all else goes on as before.
func TestHastyServer(t *testing.T) {
	o := newOrigin(t, func(w *wire) {
		for {
			if _, err := w.request(); err != nil {
				return
			}
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			if w.n == 0 {
				return
			}
		}
	})
	r := build(t, plan{servers: []*origin{o}})
	c := r.client()
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
	c.ask(get)
	if again := time.NewTicker(time.Millisecond); true {
		for r.h.Pool("app").Servers()[0].Idle > 0 { // until the end is noticed
			<-again.C
		}
		again.Stop()
	}
	for i, x := range []struct {
		request string
		conns   int
	}{{get, 2}, {post, 3}, {post, 4}, {get, 4}, {get, 4}, {post, 5}} {
		if a := c.ask(x.request); a.status != 200 || o.conns() != x.conns {
			t.Errorf("request %d: %d, on connection %d, want %d", i, a.status, o.conns(), x.conns)
		}
	}
}

// TestKeepAliveOfZero: a server that says it keeps no idle connection is taken at its word.
func TestKeepAliveOfZero(t *testing.T) {
	for _, x := range []struct {
		field string
		conns int
	}{{"timeout=0", 3}, {"max=10, timeout=0", 3}, {"timeout=60", 1}, {"timeout=soon", 1}} {
		o := newOrigin(t, say("HTTP/1.1 200 OK\r\nKeep-Alive: "+x.field+"\r\nContent-Length: 2\r\n\r\nok"))
		r := build(t, plan{servers: []*origin{o}})
		c := r.client()
		for range 3 {
			if a := c.ask(get); a.Get("Keep-Alive") != "" {
				t.Errorf("%s: the client is told too", x.field)
			}
		}
		if o.conns() != x.conns {
			t.Errorf("%s: %d connections, want %d", x.field, o.conns(), x.conns)
		}
		r.shutdown(0)
	}
}

// TestServerReadsNothing is a server that takes the connection and no request: the upload stops and the client is told in time.
func TestServerReadsNothing(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	o := newOrigin(t, func(w *wire) { <-stop })
	defer close(stop)
	r := build(t, plan{servers: []*origin{o}, back: `timeouts { server = "200ms" }`})
	size := 64 << 20
	quick(t, 5*time.Second, func() time.Duration {
		c := r.client()
		c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
		go c.send(strings.Repeat("x", size))
		return taken(func() {
			if a, err := c.answer("POST"); err != nil || a.status != 504 {
				t.Errorf("%+v, %v", a, err)
			}
		})
	})
}

// TestServerEndsDuringUpload: a server that hangs up while the content is still coming, without a word.
func TestServerEndsDuringUpload(t *testing.T) {
	for _, how := range []string{"FIN", "RST"} {
		t.Run(how, func(t *testing.T) {
			o := newOrigin(t, func(w *wire) {
				w.head()
				w.take(100_000)
				if how == "RST" {
					w.reset()
				}
			})
			r := build(t, plan{servers: []*origin{o}})
			c := r.client()
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
			done := make(chan struct{})
			go func() {
				defer close(done)
				io.Copy(c.Conn, &zeros{left: 50_000_000})
			}()
			if a, err := c.answer("POST"); err != nil || a.status != 502 || !a.close {
				t.Errorf("%+v, %v", a, err)
			}
			if l := r.line(); l.Termination[0] != 'S' || !strings.Contains(l.Error, " A ") || o.conns() != 1 {
				t.Errorf("log line %+v, %d connections", l, o.conns())
			}
			c.Close()
			<-done
		})
	}
}

// TestSlowUploadIsNotTheServersFault: the server may think for as long as the client sends, and as long as its timeout after that.
func TestSlowUploadIsNotTheServersFault(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, back: `timeouts { server = "300ms" }`})
	c := r.client()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 10 {
		<-tick.C
		c.send("x")
	}
	if a, err := c.answer("POST"); err != nil || a.status != 200 || a.body != "POST / 10" {
		t.Errorf("%+v, %v", a, err)
	}
}
