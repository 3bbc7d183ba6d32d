package house_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A connection to a server that is still being made is given up when nobody wants it any more.

// TestClientLeavesWhileConnecting: a client that goes away is not waited for, be it by a reset or, with abort_on_close, by a regular end (AT-7.5).
func TestClientLeavesWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"reset", "end"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := build(t, plan{at: []string{blackHole(t)}, back: `timeouts { connect = "1m" }`})
			c := r.client()
			c.send(get)
			await(t, "the request", func() bool { return r.h.Status().Backends[0].Active == 1 })
			if how == "reset" {
				c.reset()
			} else {
				c.closeWrite()
			}
			if l := r.line(); l.Termination != "CC--" || l.Total > 10_000 || l.Retries != 0 || l.Server != "A" {
				t.Errorf("log line %+v", l)
			}
			if s := r.h.Status().Backends[0].Servers[0]; s.Refused != 0 || s.Active != 0 {
				t.Errorf("the server is blamed, or busy: %+v", s)
			}
		})
	}
}

// TestClientEndsItsSideWhileConnecting: without abort_on_close it may still want the answer.
func TestClientEndsItsSideWhileConnecting(t *testing.T) {
	t.Parallel()
	b := newOrigin(t, nil)
	r := build(t, plan{at: []string{blackHole(t)}, servers: []*origin{b}, back: `
	abort_on_close = false
	cookie "S" {}
	timeouts { connect = "300ms" }`})
	c := r.client()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nCookie: S=A\r\n\r\n")
	c.closeWrite()
	if a, err := c.answer("GET"); err != nil || a.status != 200 {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestEndWhileConnecting: an end that may not wait does not wait for a connect timeout.
func TestEndWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"http", "tcp"} {
		r, _ := site(t, fmt.Sprintf(`
listen "www" {
  mode = %q
  bind "127.0.0.1:1" {}
  timeouts { connect = "1m" }
  server "A" %q {}
}`, mode, blackHole(t)))
		c := r.connect(0)
		c.send(get)
		await(t, "the request", func() bool { return r.h.Status().Backends[0].Active == 1 })
		began := time.Now()
		r.shutdown(10 * time.Millisecond)
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("%s: it took %v", mode, d)
		}
	}
}

// TestBackupForServerThatIsGone: a backup serves whoever has tried all other servers in vain, though no check has noticed yet (AT-4.2).
func TestBackupForServerThatIsGone(t *testing.T) {
	for _, limit := range []string{"", "max_connections = 1"} { // without a queue and with one
		a, b, c := newOrigin(t, nil), newOrigin(t, nil), newOrigin(t, nil)
		r := build(t, plan{back: fmt.Sprintf(`
	cookie "S" {}
	server "M" %q {
	  %s
	}
	server "K" %q {
	  backup = true
	  %s
	}
	server "L" %q { backup = true }
`, a.addr, limit, b.addr, limit, c.addr)})
		if x := r.client().ask(get); !strings.HasPrefix(x.Get("Set-Cookie"), "S=M;") {
			t.Errorf("%q", x.Get("Set-Cookie"))
		}
		r.line()
		a.stop()
		for _, cookie := range []string{"", "Cookie: S=M\r\n"} {
			quick(t, 800*time.Millisecond, func() time.Duration {
				return taken(func() {
					x := r.client().ask("GET / HTTP/1.1\r\nHost: a\r\n" + cookie + "\r\n")
					if l := r.line(); x.status != 200 || !strings.HasPrefix(x.Get("Set-Cookie"), "S=K;") || l.Server != "K" || l.Retries != 1 || !l.Redispatched {
						t.Errorf("%q, %q: %d, %+v", limit, cookie, x.status, l)
					}
				})
			})
		}
		b.stop()
		if x := r.client().ask(get); x.status != 200 || !strings.HasPrefix(x.Get("Set-Cookie"), "S=L;") {
			t.Errorf("%q: the second backup: %+v", limit, x)
		}
	}
}

// TestQueueTimeOfFailedConnects: what is spent on a server that does not answer is no waiting in a queue (%Tw), and where no connection came about,
// there is no time for it (%Tc).
func TestQueueTimeOfFailedConnects(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"", "max_connections = 1"} {
		r := build(t, plan{back: fmt.Sprintf("retries = 1\n timeouts { connect = \"300ms\" }\n server \"A\" %q {\n %s\n }\n", blackHole(t), limit)})
		quick(t, 200*time.Millisecond, func() time.Duration {
			if x := r.client().ask(get); x.status != 503 {
				t.Errorf("%d", x.status)
			}
			l := r.line()
			if l.Queue < 0 || l.Connect != -1 || l.Total < 500 || l.Termination != "sC--" || l.Retries != 1 {
				t.Errorf("%q: log line %+v", limit, l)
			}
			return time.Duration(l.Queue) * time.Millisecond
		})
	}
}

// TestMaxConnectionsOfSeveralAddresses: the process has no connection more than it may, on however many addresses they knock.
func TestMaxConnectionsOfSeveralAddresses(t *testing.T) {
	o := newOrigin(t, nil)
	dir := t.TempDir()
	text := fmt.Sprintf("global {\n state_dir = %q\n max_connections = 2\n}\nlog \"access\" { format = \"json\" }\n", dir)
	for i := range 4 {
		text += fmt.Sprintf("frontend \"f%d\" {\n bind \"127.0.0.%d:1\" {}\n backend = backend.app\n log = log.access\n}\n", i, i+1)
	}
	text += fmt.Sprintf("backend \"app\" {\n server \"A\" %q {}\n}\n", o.addr)
	r := raise(t, dir, text, plan{loops: 2})
	a, b := r.connect(0), r.connect(1)
	a.ask(get)
	b.ask(get)
	var rest []*wire
	for i := range 4 {
		c := r.connect(i)
		c.send(get)
		rest = append(rest, c)
	}
	for range 20 { // the loop has had its chances
		a.ask(get)
		if n := r.h.Connections(); n != 2 {
			t.Fatalf("%d connections", n)
		}
	}
	a.Close()
	b.Close()
	for i, c := range rest { // in whichever order
		if x, err := c.answer("GET"); err != nil || x.status != 200 {
			t.Errorf("address %d: %+v, %v", i, x, err)
		}
		c.Close()
	}
}

// await waits until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for !so() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%s: that never came", what)
		}
	}
}
