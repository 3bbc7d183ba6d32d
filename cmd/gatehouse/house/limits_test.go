package house_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLimits is what is too large (rows 8, 35, 36, 37): refused with its status, before the server hears of it.
func TestLimits(t *testing.T) {
	const site = `limits { body = "1KiB" }`
	for _, x := range []struct {
		name, front, send string
		status            int
	}{
		{"35 target of 16 KiB", "", "GET /" + strings.Repeat("a", 16<<10-1) + " HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		{"35 target beyond", "", "GET /" + strings.Repeat("a", 16<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"35 target of 8,000", `limits { target = "8KiB" }`, "GET /" + strings.Repeat("a", 7_999) + " HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		{"36 field beyond", "", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 16<<10) + "\r\n\r\n", 431},
		{"36 head beyond", "", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: "+strings.Repeat("a", 1000)+"\r\n", 33) + "\r\n", 431},
		{"36 100 fields", "", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 99) + "\r\n", 200},
		{"36 101 fields", "", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 100) + "\r\n", 431},
		{"37 1 MB", "", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 1<<20), 431},
		{"37 10,000 fields", "", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 10_000) + "\r\n", 431},
		{"8 length at the limit", site, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024), 200},
		{"8 length beyond", site, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n", 413},
		{"8 expected length beyond", site, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1025\r\n\r\n", 413},
		{"8 chunks at the limit", site, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + strings.Repeat("x", 1024) + "\r\n0\r\n\r\n", 200},
		{"8 chunks beyond", site, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n" + strings.Repeat("x", 1025) + "\r\n0\r\n\r\n", 413},
	} {
		t.Run(x.name, func(t *testing.T) {
			o := newOrigin(t, nil)
			r := build(t, plan{servers: []*origin{o}, front: x.front})
			c := r.client()
			go c.send(x.send)
			method, _, _ := strings.Cut(x.send, " ")
			a, err := c.answer(method)
			if err != nil || a.status != x.status || a.close != (x.status != 200) {
				t.Fatalf("%+v, %v", a, err)
			}
			if x.status != 200 {
				c.ended()
				if o.requests() > 0 {
					t.Errorf("the server answered %q", o.seen())
				}
			}
			if l := r.line(); l.Status != x.status || l.Bad != (x.status == 414 || x.status == 431) {
				t.Errorf("log line %+v", l)
			}
		})
	}
}

func TestByteByByte(t *testing.T) { // row 29
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}})
	c := r.client()
	s := "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
	for range 3 {
		for i := range len(s) {
			c.send(s[i : i+1])
		}
		if a, err := c.answer("POST"); err != nil || a.body != "POST /x 3" {
			t.Fatalf("%+v, %v", a, err)
		}
	}
}

// TestSlowHead is row 38: the time for a head is for the whole of it, and begins with the connection.
func TestSlowHead(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, tls bool) {
		for _, x := range []struct{ name, dribble string }{
			{"head", "GET / HTTP/1.1\r\nHost: a.test\r\nX-Slow: " + strings.Repeat("a", 1000)},
			{"request line", "GET /" + strings.Repeat("a", 1000)},
			{"blank lines", "\r\n\r\n\r\nG"},
		} {
			t.Run(x.name, func(t *testing.T) {
				o := newOrigin(t, nil)
				r := build(t, plan{servers: []*origin{o}, tls: tls, front: `timeouts { request = "400ms" }`})
				quick(t, 2*time.Second, func() time.Duration {
					c := r.client()
					began := time.Now()
					tick := time.NewTicker(20 * time.Millisecond)
					defer tick.Stop()
					stop := make(chan struct{})
					done := make(chan struct{})
					go func() {
						defer close(done)
						for i := range len(x.dribble) {
							select {
							case <-tick.C:
							case <-stop:
								return
							}
							if c.send(x.dribble[i:i+1]) != nil {
								return
							}
						}
					}()
					a, err := c.answer("GET")
					close(stop)
					<-done
					if err != nil || a.status != 408 || !a.close {
						t.Fatalf("%+v, %v", a, err)
					}
					d := time.Since(began)
					if d < 300*time.Millisecond {
						t.Errorf("after %v", d)
					}
					c.ended()
					if l := r.line(); l.Status != 408 || l.Termination[:2] != "cR" || !l.Bad {
						t.Errorf("log line %+v", l)
					}
					return d
				})
				if o.conns() > 0 {
					t.Error("the server was asked")
				}
			})
		}
	})
}

// TestSilentConnections end without a word: nobody asked anything (row 48).
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		log  string
		line bool
	}{{"", false}, {"empty = true", true}} {
		serve := func(request string) *rig {
			return build(t, plan{servers: []*origin{newOrigin(t, nil)}, front: "timeouts {\n request = \"" + request + "\"\n idle = \"100ms\"\n}", log: x.log})
		}
		r := serve("100ms")
		r.client().ended()
		if x.line {
			if l := r.line(); l.Status != 408 || l.Termination[:2] != "cR" || !l.Bad || l.BytesOut != 0 {
				t.Errorf("log line %+v", l)
			}
		}
		r.noLine()
		r = serve("20s")
		c := r.client() // one that leaves at once
		c.Close()
		if x.line {
			if l := r.line(); l.Status != 400 || l.Termination[:2] != "CR" || !l.Bad {
				t.Errorf("log line %+v", l)
			}
		}
		c = r.client() // one that asked before is nothing special when it goes
		c.ask(get)
		if l := r.line(); l.Status != 200 {
			t.Errorf("log line %+v", l)
		}
		c.ended()
		r.noLine()
	}
}

// TestTLSToPlainPort: garbage gets its 400.
func TestTLSToPlainPort(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}})
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	err = tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).Handshake()
	var he tls.RecordHeaderError
	if !errors.As(err, &he) || string(he.RecordHeader[:]) != "HTTP/" {
		t.Errorf("%v", err)
	}
	nc.Close()
}

func TestSilentContent(t *testing.T) { // row 39
	t.Parallel()
	everywhere(t, func(t *testing.T, tls bool) {
		for _, framing := range []string{"Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"} {
			over := make(chan struct{})
			o := newOrigin(t, func(w *wire) { w.rest(); close(over) })
			r := build(t, plan{servers: []*origin{o}, tls: tls, front: `timeouts { client = "200ms" }`})
			c := r.client()
			a := c.ask("POST / HTTP/1.1\r\nHost: a.test\r\n" + framing)
			if a.status != 408 || !a.close {
				t.Errorf("%+v", a)
			}
			<-over // the server is told too
			if l := r.line(); l.Status != 408 || l.Termination[:2] != "cD" {
				t.Errorf("log line %+v", l)
			}
		}
	})
}

// TestSilentReader is row 40: a client that takes nothing is cut, and its server freed.
func TestSilentReader(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, tls bool) {
		over := make(chan struct{})
		o := newOrigin(t, func(w *wire) {
			w.request()
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n")
			io.Copy(w.Conn, &zeros{left: 500_000_000})
			close(over)
		})
		r := build(t, plan{servers: []*origin{o}, tls: tls, front: `timeouts { client = "300ms" }`})
		c := r.client()
		c.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		<-over
		if l := r.line(); l.Status != 200 || l.Termination[:2] != "cD" {
			t.Errorf("log line %+v", l)
		}
	})
}

// TestLongExchange takes longer than a head may: the connection goes on all the same, and so does an upload when the client has no limit.
func TestLongExchange(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, tls bool) {
		release := make(chan struct{})
		o := newOrigin(t, func(w *wire) {
			for {
				if _, err := w.request(); err != nil {
					return
				}
				<-release
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		})
		r := build(t, plan{servers: []*origin{o}, tls: tls, front: `timeouts {
			request = "700ms"
			client  = "0s"
		}`})
		c := r.client()
		for range 2 {
			c.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nab")
			<-time.After(800 * time.Millisecond)
			c.send("cd")
			<-time.After(800 * time.Millisecond)
			release <- struct{}{}
			if a, err := c.answer("POST"); err != nil || a.status != 200 || a.close {
				t.Fatalf("%+v, %v", a, err)
			}
		}
	})
}

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"frontend", "process"} {
		t.Run(where, func(t *testing.T) {
			p := plan{servers: []*origin{newOrigin(t, nil)}, loops: 2}
			if where == "frontend" {
				p.front = "max_connections = 2"
			} else {
				p.global = "max_connections = 2"
			}
			r := build(t, p)
			a, b := r.client(), r.client()
			a.ask(get)
			b.ask(get)
			// Two more wait in the kernel's queue, and are served one after the other as places become free.
			c, d := r.client(), r.client()
			c.send(get)
			d.send(get)
			c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if _, err := c.r.Peek(1); err == nil {
				t.Error("a third connection was served")
			}
			if n := r.h.Connections(); n > 2 {
				t.Errorf("%d connections", n)
			}
			c.SetDeadline(time.Now().Add(patience))
			a.ask(get) // those that are in are not affected
			a.Close()
			if x, err := c.answer("GET"); err != nil || x.status != 200 {
				t.Errorf("the third: %+v, %v", x, err)
			}
			b.Close()
			if x, err := d.answer("GET"); err != nil || x.status != 200 {
				t.Errorf("the fourth: %+v, %v", x, err)
			}
		})
	}
}

func TestPerSource(t *testing.T) { // row 42
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, front: "limits { per_source = 2 }", loops: 2})
	a, b := r.client(), r.client()
	a.ask(get)
	b.ask(get)
	c := r.client()
	c.ended()
	if x := r.from("127.0.0.2").ask(get); x.status != 200 { // another source is not affected
		t.Errorf("%+v", x)
	}
	a.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if _, err := a.answer("GET"); err != nil {
		t.Fatal(err)
	}
	a.ended()
	a.Close()
	for range 3 {
		r.line()
	}
	r.line() // of a's last request, which is written before its place is free
	deadline := time.Now().Add(patience)
	for {
		c := r.client()
		if c.send(get); time.Now().After(deadline) {
			t.Fatal("the place was never free again")
		}
		if x, err := c.answer("GET"); err == nil && x.status == 200 {
			break
		}
	}
}

// from connects from another address of this machine.
func (r *rig) from(ip string) *wire {
	r.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	nc, err := d.Dial("tcp", r.addr)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { nc.Close() })
	return newWire(r.TB, nc)
}

// TestMonitorSources is AT-2.9: nineteen bytes at once, and nobody else hears of it.
func TestMonitorSources(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, front: `monitor { sources = ["127.0.0.2/31"] }`, log: "empty = true"})
	for _, ip := range []string{"127.0.0.2", "127.0.0.3"} {
		c := r.from(ip)
		if s, err := c.rest(); s != "HTTP/1.0 200 OK\r\n\r\n" || err != nil {
			t.Errorf("%s got %q, %v", ip, s, err)
		}
		c.Close()
		c = r.from(ip) // one that asks something, too
		c.send(get)
		if s, err := c.rest(); s != "HTTP/1.0 200 OK\r\n\r\n" || err != nil {
			t.Errorf("%s got %q, %v", ip, s, err)
		}
		c.Close()
	}
	if o.conns() != 0 {
		t.Error("the server was asked")
	}
	if a := r.from("127.0.0.4").ask(get); a.status != 200 || a.body != "GET / 0" {
		t.Errorf("%+v", a)
	}
	if l := r.line(); l.Status != 200 || l.Server != "A" {
		t.Errorf("log line %+v", l)
	}
	r.noLine()
}

func TestMonitorURI(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, front: `monitor { uri = "/alive" }`, log: "empty = true"})
	c := r.client()
	for _, x := range []struct {
		send   string
		status int
	}{{"GET /alive HTTP/1.1\r\nHost: a\r\n\r\n", 200}, {"HEAD /alive?x HTTP/1.1\r\nHost: a\r\n\r\n", 200}, {"GET /ALIVE HTTP/1.1\r\nHost: a\r\n\r\n", 200}} {
		if a := c.ask(x.send); a.status != x.status {
			t.Errorf("%q: %d", x.send, a.status)
		}
	}
	if l := r.line(); l.Path != "/ALIVE" || o.conns() != 1 { // the one that is no probe
		t.Errorf("log line %+v, %d connections", l, o.conns())
	}
	r.noLine()
	r = build(t, plan{at: []string{"127.0.0.1:1"}, front: `monitor { uri = "/alive" }`, back: `check "tcp" {}`})
	c = r.client()
	if a := c.ask("GET /alive HTTP/1.1\r\nHost: a\r\n\r\n"); a.status != 503 {
		t.Errorf("without a server: %d", a.status)
	}
}

func TestRangeFlood(t *testing.T) { // row 41
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}})
	c := r.client()
	for _, x := range []struct {
		ranges string
		passes bool
	}{
		{"bytes=0-99", true}, {"bytes=0-99,200-299", true}, {"bytes=-5", true}, {"bytes=5-", true}, {"lines=1-2", true}, {"nonsense", true},
		{"bytes=0-1" + strings.Repeat(",5-6", 15), false}, {"bytes=0-,5-0" + strings.Repeat(",5-", 1300), false}, {"bytes=0-99,50-149", false}, {"bytes=5-,10-20", false},
	} {
		o.mu.Lock()
		o.saw.Reset()
		o.mu.Unlock()
		if a := c.ask("GET / HTTP/1.1\r\nHost: a\r\nRange: " + x.ranges + "\r\n\r\n"); a.status != 200 {
			t.Errorf("%.40s: %d", x.ranges, a.status)
		}
		if strings.Contains(o.seen(), "Range: "+x.ranges+"\r\n") != x.passes {
			t.Errorf("%.40s: the server got %q", x.ranges, o.seen())
		}
	}
}

// TestHalfHandshakes is row 44: clients that begin a handshake and stop do not keep others out.
func TestHalfHandshakes(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}, tls: true, front: `timeouts { request = "1m" }`})
	n := 1500
	if raceEnabled {
		n = 640 // a handshake costs five times as much
	}
	hello := clientHello(t)
	for range n {
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.Write(hello)
	}
	began := time.Now()
	for range 3 {
		if a := r.client().ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"); a.status != 200 {
			t.Errorf("%+v", a)
		}
	}
	if d := time.Since(began); d > 50*time.Second { // those who stopped are closed after a minute
		t.Errorf("an honest client waited %v", d)
	}
}

// clientHello returns the first flight of a TLS client.
func clientHello(t *testing.T) []byte {
	a, b := net.Pipe()
	defer b.Close()
	go func() {
		tls.Client(a, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true}).Handshake()
		a.Close()
	}()
	buf := make([]byte, 8<<10)
	n, err := b.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, tls: true, front: `timeouts { request = "300ms" }`})
	hello := clientHello(t)
	for _, send := range []string{"", string(hello[:1]), string(hello[:len(hello)-1]), string(hello)} {
		quick(t, 3*time.Second, func() time.Duration {
			began := time.Now()
			nc, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			c := newWire(t, nc)
			c.send(send)
			c.rest() // an alert, or the server's half of the handshake
			d := time.Since(began)
			if d < 200*time.Millisecond {
				t.Errorf("ended after %v", d)
			}
			c.Close()
			return d
		})
	}
}

// TestNoDescriptors is row 43: while there are none left nobody comes in, nothing spins, and afterwards all is well.
func TestNoDescriptors(t *testing.T) {
	o := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{o}})
	c := r.client()
	c.ask(get)
	late, err := net.Listen("tcp", "127.0.0.1:0") // takes its descriptors now
	if err != nil {
		t.Fatal(err)
	}
	late.Close()

	var all []*os.File
	defer func() {
		for _, f := range all {
			f.Close()
		}
	}()
	var lim, low syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim)
	low = lim
	low.Cur = 200
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Skip(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim)
	for {
		f, err := os.Open("/dev/null")
		if err != nil {
			break
		}
		all = append(all, f)
	}
	// One descriptor for a client, none for the house to take it with.
	all[0].Close()
	all = all[1:]
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	d := newWire(t, nc)
	defer d.Close()
	d.send(get)
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for range 20 {
		if a := c.ask(get); a.status != 200 { // who is in is served
			t.Errorf("%+v", a)
		}
	}
	d.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := d.r.Peek(1); err == nil {
		t.Error("served without a descriptor")
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	if spent := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()); spent > 300*time.Millisecond {
		t.Errorf("%v of processor time while waiting for descriptors", spent)
	}
	for _, f := range all {
		f.Close()
	}
	all = nil
	d.SetDeadline(time.Now().Add(patience))
	if a, err := d.answer("GET"); err != nil || a.status != 200 {
		t.Errorf("%+v, %v", a, err)
	}
}
