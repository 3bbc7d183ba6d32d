package house_test

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestRefusedServerFailsOver: a port that is closed costs nobody anything (AT-4.2, AT-4.3).
func TestRefusedServerFailsOver(t *testing.T) {
	a, b := newOrigin(t, nil), newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{a, b}, back: `cookie "S" {}`})
	a.stop()
	quick(t, 500*time.Millisecond, func() time.Duration {
		return taken(func() {
			for _, method := range []string{"GET", "POST"} { // nothing was sent, so any method may go elsewhere
				x := r.client().ask(method + " / HTTP/1.1\r\nHost: a\r\nCookie: S=A\r\nContent-Length: 0\r\n\r\n")
				if x.status != 200 || !strings.HasPrefix(x.Get("Set-Cookie"), "S=B;") {
					t.Errorf("%s: %d, Set-Cookie: %q", method, x.status, x.Get("Set-Cookie"))
				}
				if l := r.line(); l.Server != "B" || !l.Redispatched || l.Retries != 1 || l.Termination != "--DI" {
					t.Errorf("%s: log line %+v", method, l)
				}
			}
			if x := r.client().ask("POST / HTTP/1.1\r\nHost: a\r\nCookie: S=A\r\nContent-Length: 5\r\n\r\nhello"); x.body != "POST / 5" {
				t.Errorf("with content: %+v", x)
			}
			r.line()
		})
	})
}

// TestBlackHole is a server that does not even refuse: it costs one connect timeout.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	hole := blackHole(t)
	b := newOrigin(t, nil)
	r := build(t, plan{at: []string{hole}, servers: []*origin{b}, back: `
	cookie "S" {}
	timeouts { connect = "300ms" }`})
	quick(t, 900*time.Millisecond, func() time.Duration {
		began := time.Now()
		x := r.client().ask("GET / HTTP/1.1\r\nHost: a\r\nCookie: S=A\r\n\r\n")
		d := time.Since(began)
		if d < 250*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		if x.status != 200 || !strings.HasPrefix(x.Get("Set-Cookie"), "S=B;") {
			t.Errorf("%+v", x)
		}
		return d
	})
}

// blackHole returns an address that answers no SYN: a listener whose queue is full.
func blackHole(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	if err := shrinkQueue(ln.(*net.TCPListener)); err != nil {
		t.Skip(err)
	}
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	await(t, "a full queue", func() bool { return queueFull(t, ln.(*net.TCPListener)) })
	return ln.Addr().String()
}

// TestNoRedispatch: a holder whose server is gone and who may not leave it is told so, after the retries.
func TestNoRedispatch(t *testing.T) {
	t.Parallel()
	a, b := newOrigin(t, nil), newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{a, b}, back: `
	cookie "S" {}
	redispatch = false
	retries = 1`})
	a.stop()
	quick(t, 3*time.Second, func() time.Duration {
		began := time.Now()
		x := r.client().ask("GET / HTTP/1.1\r\nHost: a\r\nCookie: S=A\r\n\r\n")
		d := time.Since(began)
		if x.status != 503 || d < 900*time.Millisecond {
			t.Errorf("%d after %v", x.status, d)
		}
		if l := r.line(); l.Termination[:2] != "SC" || l.Retries != 1 || l.Redispatched || l.Server != "A" {
			t.Errorf("log line %+v", l)
		}
		return d
	})
	if x := r.client().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); x.status != 200 { // newcomers do leave
		t.Errorf("a newcomer: %d", x.status)
	}
}

func TestNoRetries(t *testing.T) {
	a := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{a}, back: "retries = 0"})
	a.stop()
	quick(t, time.Second, func() time.Duration {
		return taken(func() {
			if x := r.client().ask(get); x.status != 503 {
				t.Errorf("%d", x.status)
			}
			if l := r.line(); l.Termination[:2] != "SC" || l.Retries != 0 || !strings.Contains(l.Error, "connection refused") {
				t.Errorf("log line %+v", l)
			}
		})
	})
}

// TestRestartOfTheOnlyServer: a server that is back within the retries has lost no request.
func TestRestartOfTheOnlyServer(t *testing.T) {
	t.Parallel()
	a := newOrigin(t, nil)
	r := build(t, plan{servers: []*origin{a}})
	a.stop()
	c := r.client()
	c.send(get)
	<-time.After(300 * time.Millisecond)
	a.start()
	if x, err := c.answer("GET"); err != nil || x.status != 200 {
		t.Errorf("%+v, %v", x, err)
	}
}

// TestServersKilledUnderLoad is row 97: two servers are killed and started again in turn, under load. No request that may be repeated
// fails, and none that may not be is executed twice.
func TestServersKilledUnderLoad(t *testing.T) {
	var executed [2]atomic.Int64 // POSTs, by server
	var twice atomic.Int64
	seen := make([]atomic.Int32, 200_000)
	serve := func(i int) func(*wire) {
		return func(w *wire) {
			for {
				q, err := w.request()
				if err != nil {
					return
				}
				if q.method == "POST" {
					var id int
					fmt.Sscanf(q.target, "/%d", &id)
					if seen[id].Add(1) > 1 {
						twice.Add(1)
					}
					executed[i].Add(1)
				}
				if w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") != nil {
					return
				}
			}
		}
	}
	a, b := newOrigin(t, serve(0)), newOrigin(t, serve(1))
	r := build(t, plan{servers: []*origin{a, b}, back: `cookie "S" {}`, loops: 2})
	stop := make(chan struct{})
	var gets, posts, failedPosts, id atomic.Int64
	const clients = 8
	var told [clients]atomic.Int64 // answers, by client
	errs := make(chan error, clients)
	for k := range clients {
		go func() {
			errs <- func() error {
				var c *wire
				cookie := ""
				for {
					select {
					case <-stop:
						if c != nil {
							c.Close()
						}
						return nil
					default:
					}
					if c == nil {
						nc, err := net.Dial("tcp", r.addr)
						if err != nil {
							return err
						}
						c = newWire(t, nc)
					}
					c.SetDeadline(time.Now().Add(patience))
					method, path := "GET", "/"
					if k%4 == 0 {
						method, path = "POST", fmt.Sprintf("/%d", id.Add(1))
					}
					c.send(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: 0\r\n\r\n", method, path, cookie))
					x, err := c.answer(method)
					switch {
					case err != nil:
						return fmt.Errorf("%s: %w", method, err)
					case method == "GET" && x.status != 200:
						return fmt.Errorf("GET: %d", x.status)
					case method == "GET":
						gets.Add(1)
					case x.status == 200:
						posts.Add(1)
					case x.status == 502:
						failedPosts.Add(1)
					default:
						return fmt.Errorf("POST: %d", x.status)
					}
					told[k].Add(1)
					if s := x.Get("Set-Cookie"); s != "" {
						v, _, _ := strings.Cut(s, ";")
						cookie = "Cookie: " + v + "\r\n"
					}
					if x.close {
						c.Close()
						c = nil
					}
				}
			}()
		}()
	}
	// Between a stop and a start, and between a start and a stop, every client gets some answers: so there is always a server that a
	// request finds, and on a slow machine, too, none has both taken from it.
	var ended []error
	pass := func() {
		var seen [clients]int64
		for k := range seen {
			seen[k] = told[k].Load()
		}
		again := time.NewTicker(time.Millisecond)
		defer again.Stop()
		for k := 0; k < clients && len(ended) == 0; {
			if told[k].Load() >= seen[k]+20 {
				k++
				continue
			}
			select {
			case err := <-errs:
				ended = append(ended, err)
			case <-again.C:
			}
		}
	}
	rounds := 12
	for i := range rounds {
		o := []*origin{a, b}[i%2]
		pass()
		o.stop()
		pass()
		o.start()
	}
	close(stop)
	for len(ended) < clients {
		ended = append(ended, <-errs)
	}
	for _, err := range ended {
		if err != nil {
			t.Error(err)
		}
	}
	if twice.Load() > 0 {
		t.Errorf("%d POSTs were executed twice", twice.Load())
	}
	if done := executed[0].Load() + executed[1].Load(); done < posts.Load() || done > posts.Load()+failedPosts.Load() {
		t.Errorf("%d POSTs were executed, %d answered, %d failed", done, posts.Load(), failedPosts.Load())
	}
	if gets.Load() < 100 || posts.Load() < 20 {
		t.Errorf("only %d GETs and %d POSTs", gets.Load(), posts.Load())
	}
	t.Logf("%d GETs, %d POSTs, %d of them failed", gets.Load(), posts.Load(), failedPosts.Load())
}
