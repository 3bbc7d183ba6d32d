package house_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// TestServerThatLeaves says itself that nobody new shall come, by a 404 to its checks (AT-4.5): holders of its cookie are served as ever, with the flags of a
// valid cookie, everybody else goes elsewhere, and nobody is alarmed. One that is down stays down at 404.
func TestServerThatLeaves(t *testing.T) {
	var status atomic.Int64
	status.Store(200)
	serve := func(own bool) func(w *wire) {
		return func(w *wire) {
			for {
				q, err := w.request0()
				if err != nil {
					return
				}
				if q.target == "/health" {
					if own {
						w.send(fmt.Sprintf("HTTP/1.0 %d X\r\n\r\n", status.Load()))
					} else {
						w.send("HTTP/1.0 200 OK\r\n\r\n")
					}
					return
				}
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		}
	}
	a, b := newOrigin(t, serve(true)), newOrigin(t, serve(false))
	s := newLodge(t, web(`
	cookie "S" {}
	check "http" {
		request  = "GET /health"
		drain_on = ["404"]
		interval = "10ms"
		fall     = 2
	}`, a, b))
	s.settled("app")
	c := s.client("www")
	ask := func(cookie, server, flags string) {
		t.Helper()
		if cookie != "" {
			cookie = "Cookie: S=" + cookie + "\r\n"
		}
		c.ask("GET / HTTP/1.1\r\nHost: a\r\n" + cookie + "\r\n")
		if l := <-s.lines.lines; l.Server != server || l.Termination != flags {
			t.Errorf("%q: served by %s with %s, want %s with %s", cookie, l.Server, l.Termination, server, flags)
		}
	}
	ask("A", "A", "--VN")
	status.Store(404)
	s.await("A leaves", func() bool { return s.server("app", "A").Health == "leaving" })
	if v := s.server("app", "A"); v.State != "leaving: only holders of its cookie come" || v.Newcomers || !v.Holders {
		t.Errorf("%+v", v)
	}
	ask("A", "A", "--VN")
	ask("", "B", "--NI")
	ask("", "B", "--NI")
	if n := s.told.FilterMessageSnippet("leaving").Len(); n != 1 {
		t.Errorf("said %d times", n)
	}
	for _, e := range s.told.All() {
		if e.Level > 0 {
			t.Errorf("an alarm: %s", e.Message)
		}
	}
	s.reload(web(`
	cookie "S" {}
	check "http" {
		request  = "GET /health"
		drain_on = ["404"]
		interval = "10ms"
		fall     = 2
	}
	retries = 1`, a, b))
	if h := s.server("app", "A").Health; h != "leaving" {
		t.Errorf("%s after a reload", h)
	}
	status.Store(500)
	s.await("A is down", func() bool { return s.server("app", "A").Health == "down" })
	ask("A", "B", "--DI")
	status.Store(404)
	seen := strings.Count(a.seen(), "/health")
	s.await("checks", func() bool { return strings.Count(a.seen(), "/health") > seen+3 })
	if h := s.server("app", "A").Health; h != "down" {
		t.Errorf("%s at 404, though it was down", h)
	}
	status.Store(200)
	s.await("A is back", func() bool { return s.server("app", "A").Health == "up" })
	ask("A", "A", "--VN")
}

// request0 is request for servers that are also asked in HTTP/1.0, without content.
func (w *wire) request0() (*request, error) {
	head, err := w.head()
	if err != nil {
		return nil, err
	}
	parts := strings.Fields(head)
	return &request{method: parts[0], target: parts[1], head: head}, nil
}
