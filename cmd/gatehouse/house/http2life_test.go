package house_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestHTTP2Cancel: a client that resets a stream frees the server at once, and others of the connection go on.
func TestHTTP2Cancel(t *testing.T) {
	h2everywhere(t, func(t *testing.T, p plan) {
		left := make(chan struct{}, 10)
		o := newOrigin(t, func(w *wire) {
			head, err := w.head()
			if err != nil {
				return
			}
			if strings.Contains(head, " /wait ") {
				w.rest()
				left <- struct{}{}
				return
			}
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		})
		p.servers = []*origin{o}
		r := build(t, p)
		c := r.raw()
		c.headers(1, true, asking("/wait")...)
		o.got("GET /wait")
		c.headers(3, false, ":method: POST", ":scheme: http", ":authority: a.test", ":path: /wait") // with content under way
		o.got("POST /wait")
		c.fr.WriteRSTStream(1, http2.ErrCodeCancel)
		c.fr.WriteRSTStream(3, http2.ErrCodeCancel)
		for range 2 {
			select {
			case <-left:
			case <-time.After(patience):
				t.Fatal("the server is kept waiting")
			}
			if l := r.line(); l.Termination[0] != 'C' {
				t.Errorf("the line %+v", l)
			}
		}
		c.headers(5, true, asking("/")...)
		if head, body := c.response(5); head[":status"] != "200" || body != "ok" {
			t.Errorf("%v %q", head, body)
		}
		// The same when the connection goes.
		c.headers(7, true, asking("/wait")...)
		c.headers(9, true, asking("/wait")...)
		c.alive()
		c.nc.Close()
		r.line() // of stream 5
		for range 2 {
			if l := r.line(); l.Termination[0] != 'C' {
				t.Errorf("the line %+v", l)
			}
		}
	})
}

// TestHTTP2Idle: a connection without streams ends when its time is over, with GOAWAY; PING does not keep it.
func TestHTTP2Idle(t *testing.T) {
	h2everywhere(t, func(t *testing.T, p plan) {
		p.servers = []*origin{newOrigin(t, nil)}
		p.front = `timeouts { idle = "400ms" }`
		if p.tls {
			p.front += "\n"
		}
		r := build(t, p)
		c := r.raw()
		c.headers(1, true, asking("/")...)
		c.response(1)
		began := time.Now()
		c.alive()
		if got := c.verdict(0); got != "GOAWAY NO_ERROR" {
			t.Error(got)
		}
		if d := time.Since(began); d < 300*time.Millisecond {
			t.Errorf("after %v", d)
		}
	})
}

// TestHTTP2Shutdown: "A server that is attempting to gracefully shut down a connection SHOULD send an initial GOAWAY frame with the last
// stream identifier set to 2^31-1", and then another one; streams under way are finished.
func TestHTTP2Shutdown(t *testing.T) {
	h2everywhere(t, func(t *testing.T, p plan) {
		gate := make(chan struct{})
		o := gatedOrigin(t, "/wait", gate)
		p.servers = []*origin{o}
		r := build(t, p)
		c := r.raw()
		c.headers(1, true, asking("/wait")...)
		o.got("/wait")
		idle := r.raw()
		idle.alive()
		ended := r.ending(patience)
		away := func(c *h2peer) *http2.GoAwayFrame {
			for {
				f, err := c.next()
				if err != nil {
					t.Fatal(err)
				}
				if g, ok := f.(*http2.GoAwayFrame); ok {
					return g
				}
			}
		}
		if g := away(c); g.LastStreamID != 1<<31-1 || g.ErrCode != http2.ErrCodeNo {
			t.Errorf("first %v", g)
		}
		// A stream that was on its way is served.
		c.headers(3, true, asking("/")...)
		if head, _ := c.response(3); head[":status"] != "200" {
			t.Errorf("%v", head)
		}
		if g := away(c); g.LastStreamID != 3 || g.ErrCode != http2.ErrCodeNo {
			t.Errorf("second %v", g)
		}
		// One that comes later is not, and may be asked for elsewhere.
		c.headers(5, true, asking("/late")...)
		close(gate)
		if head, body := c.response(1); head[":status"] != "200" || body != "ok" {
			t.Errorf("%v %q", head, body)
		}
		if f, err := c.next(); err == nil {
			t.Errorf("after the last answer %v", f)
		}
		if away(idle).LastStreamID != 1<<31-1 || away(idle).LastStreamID != 0 {
			t.Error("an idle connection is not told")
		}
		if _, err := idle.next(); err == nil {
			t.Error("an idle connection goes on")
		}
		if err := <-ended; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if strings.Contains(o.seen(), "/late") {
			t.Error("a stream was served behind the second GOAWAY")
		}
	})
}

// TestHTTP2Abort: when the time for an end is over, streams are cut.
func TestHTTP2Abort(t *testing.T) {
	h2everywhere(t, func(t *testing.T, p plan) {
		o := newOrigin(t, func(w *wire) { w.rest() })
		p.servers = []*origin{o}
		r := build(t, p)
		c := r.raw()
		c.headers(1, true, asking("/")...)
		o.got("GET /")
		if err := <-r.ending(0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		if got := c.verdict(1); got != "EOF" && got != "GOAWAY NO_ERROR" {
			t.Error(got)
		}
		if l := r.line(); l.Termination[0] != 'K' {
			t.Errorf("the line %+v", l)
		}
	})
}

// TestHTTP2Reload: streams and connections live on when the configuration changes, and the next request has the new one.
func TestHTTP2Reload(t *testing.T) {
	gate := make(chan struct{})
	old, news := newOrigin(t, func(w *wire) {
		w.request()
		<-gate
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold")
	}), newOrigin(t, say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew"))
	text := func(o *origin) string {
		return strings.Replace(web("", o), "\"unix:DIR/www\" {}", "\"unix:DIR/www\" { protocols = [\"h2\"] }", 1)
	}
	s := newLodge(t, text(old))
	c := &h2peer{TB: t, nc: s.client("www").Conn}
	c.init()
	c.begin()
	c.headers(1, true, asking("/")...)
	old.got("GET /")
	s.reload(text(news))
	c.headers(3, true, asking("/")...)
	if _, body := c.response(3); body != "new" {
		t.Errorf("after the reload: %q", body)
	}
	close(gate)
	if _, body := c.response(1); body != "old" {
		t.Errorf("from before the reload: %q", body)
	}
}

// TestHTTP2WebSocket is RFC 8441: an extended CONNECT becomes an upgrade for the server, and what both say passes in DATA frames.
func TestHTTP2WebSocket(t *testing.T) {
	h2everywhere(t, func(t *testing.T, p plan) {
		o := newOrigin(t, func(w *wire) {
			q, err := w.request()
			if err != nil {
				return
			}
			key, one := field(q.head, "Sec-WebSocket-Key")
			if up, _ := field(q.head, "Upgrade"); !one || len(key) != 24 || up != "websocket" || q.method != "GET" {
				w.Errorf("%q", q.head)
			}
			w.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: " + acceptOf(key) + "\r\n\r\n")
			io.Copy(w.Conn, w.r)
			w.send("bye")
		})
		p.servers = []*origin{o}
		r := build(t, p)
		c := r.raw()
		f, err := c.next()
		if s, ok := f.(*http2.SettingsFrame); err != nil || !ok {
			t.Fatal(f, err)
		} else if v, _ := s.Value(http2.SettingEnableConnectProtocol); v != 1 {
			t.Error("ENABLE_CONNECT_PROTOCOL is not set")
		}
		c.headers(1, false, ":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: a.test", ":path: /chat", "sec-websocket-version: 13", "sec-websocket-protocol: chat")
		c.heads(1)
		sent := strings.Repeat("some frame ", 10_000) // the window that the house begins with holds it
		c.fr.WriteWindowUpdate(0, 1<<30)
		c.fr.WriteWindowUpdate(1, 1<<30)
		var wg sync.WaitGroup
		wg.Go(func() {
			for b := sent; len(b) > 0; {
				n := min(len(b), 10_000)
				c.fr.WriteData(1, false, []byte(b[:n]))
				b = b[n:]
			}
			c.fr.WriteData(1, true, nil)
		})
		_, got := c.response(1)
		wg.Wait()
		if got != sent+"bye" {
			t.Errorf("%d bytes came back, want %d", len(got), len(sent)+3)
		}
		if l := r.line(); l.Status != 101 || l.BytesIn < int64(len(sent)) || l.Termination[:2] != "--" {
			t.Errorf("the line %+v", l)
		}
		c.alive()
	})
}

// TestHTTP2WebSocketEnds: each side may end it in its own way.
func TestHTTP2WebSocketEnds(t *testing.T) {
	for _, x := range []struct {
		name   string
		serve  func(w *wire, key string)
		client func(c *h2peer)
		want   string
	}{
		{"the server refuses", func(w *wire, _ string) { w.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") }, nil, "END"},
		{"the server has another key", func(w *wire, _ string) {
			w.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
		}, nil, "END"},
		{"the server resets", func(w *wire, key string) {
			w.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptOf(key) + "\r\n\r\n")
			w.take(2)
			w.reset()
		}, func(c *h2peer) { c.fr.WriteData(1, false, []byte("hi")) }, "RST INTERNAL_ERROR"},
		{"the server closes", func(w *wire, key string) {
			w.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptOf(key) + "\r\n\r\n")
		}, nil, "END"},
	} {
		t.Run(x.name, func(t *testing.T) {
			o := newOrigin(t, func(w *wire) {
				if q, err := w.request(); err == nil {
					key, _ := field(q.head, "Sec-WebSocket-Key")
					x.serve(w, key)
				}
			})
			r := build(t, plan{servers: []*origin{o}, bind: both})
			c := r.raw()
			c.headers(1, false, ":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: a.test", ":path: /chat")
			if x.client != nil {
				x.client(c)
			}
			if got := c.verdict(1); got != x.want {
				t.Errorf("%s, want %s", got, x.want)
			}
			if x.name == "the server closes" {
				c.fr.WriteData(1, true, nil)
			}
			c.alive()
			r.line()
		})
	}
	t.Run("an old version", func(t *testing.T) {
		o := newOrigin(t, nil)
		r := build(t, plan{servers: []*origin{o}, bind: both})
		c := r.raw()
		c.headers(1, false, ":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: a.test", ":path: /chat", "sec-websocket-version: 8")
		if head, _ := c.response(1); head[":status"] != "400" {
			t.Errorf("%v", head)
		}
		c.alive()
		if l := r.line(); l.Status != 400 || l.Termination[:2] != "PR" || o.seen() != "" {
			t.Errorf("the line %+v, and the server got %q", l, o.seen())
		}
	})
	t.Run("the client resets", func(t *testing.T) {
		over := make(chan struct{})
		o := newOrigin(t, func(w *wire) {
			if q, err := w.request(); err == nil {
				key, _ := field(q.head, "Sec-WebSocket-Key")
				w.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptOf(key) + "\r\n\r\n")
				w.rest()
				close(over)
			}
		})
		r := build(t, plan{servers: []*origin{o}, bind: both})
		c := r.raw()
		c.headers(1, false, ":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: a.test", ":path: /chat")
		c.heads(1)
		c.fr.WriteRSTStream(1, http2.ErrCodeCancel)
		select {
		case <-over:
		case <-time.After(patience):
			t.Error("the server is kept waiting")
		}
		c.alive()
	})
}
