package house_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const (
	upgrading = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

// upgrade opens a WebSocket.
func (r *rig) upgrade() *wire {
	r.Helper()
	c := r.client()
	c.send(upgrading)
	head, err := c.head()
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		r.Fatalf("%q, %v", head, err)
	}
	up, _ := field(head, "Upgrade")
	opt, _ := field(head, "Connection")
	if _, ok := field(head, "Sec-WebSocket-Accept"); !ok || up != "websocket" || !strings.EqualFold(opt, "upgrade") {
		r.Fatalf("%q", head)
	}
	return c
}

// echo is a server that takes the upgrade and sends everything back, until the client has ended; then it says goodbye.
func echo(w *wire) {
	q, err := w.request()
	if err != nil {
		return
	}
	if up, _ := field(q.head, "Upgrade"); up != "websocket" {
		w.Errorf("no upgrade in %q", q.head)
	}
	w.send(switching)
	io.Copy(w.Conn, w.r)
	w.send("bye")
}

func TestWebSocket(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		o := newOrigin(t, echo)
		r := build(t, plan{servers: []*origin{o}, tls: tls, back: `cookie "S" {}`})
		c := r.upgrade()
		for i := range 100 {
			s := fmt.Sprintf("frame %d", i)
			c.send(s)
			if got, err := c.take(len(s)); got != s {
				t.Fatalf("%q, %v", got, err)
			}
		}
		// Much at once, both ways.
		b := make([]byte, 4<<20)
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		go func() {
			c.send(string(b))
			c.closeWrite()
		}()
		if got, err := c.take(len(b)); got != string(b) {
			t.Fatalf("%d bytes came back otherwise, %v", len(b), err)
		}
		// The client has ended its side: what the server says after that still comes.
		if got, err := c.rest(); got != "bye" || err != nil {
			t.Errorf("at the end %q, %v", got, err)
		}
		if l := r.line(); l.Status != 101 || l.Termination[:2] != "--" || l.BytesIn < 4<<20 || l.BytesOut < 4<<20 {
			t.Errorf("log line %+v", l)
		}
	})
}

// TestWebSocketFirstFrames come in the same write as the heads.
func TestWebSocketFirstFrames(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		o := newOrigin(t, func(w *wire) {
			if _, err := w.request(); err != nil {
				return
			}
			w.send(switching + "server first")
			if s, err := w.take(12); s != "client first" {
				w.Errorf("the server got %q, %v", s, err)
			}
			w.send("!")
		})
		r := build(t, plan{servers: []*origin{o}, tls: tls})
		c := r.client()
		c.send(upgrading + "client first")
		if _, err := c.head(); err != nil {
			t.Fatal(err)
		}
		if s, err := c.rest(); s != "server first!" {
			t.Errorf("the client got %q, %v", s, err)
		}
	})
}

// TestRefusedUpgrade is row 32: an answer that is not 101 is an answer, and the connection goes on with HTTP.
func TestRefusedUpgrade(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		for _, status := range []string{"200 OK", "400 Bad", "426 Upgrade Required", "503 Later"} {
			n := 0
			o := newOrigin(t, func(w *wire) {
				for {
					q, err := w.request()
					if err != nil {
						return
					}
					n++
					w.send(fmt.Sprintf("HTTP/1.1 %s\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: %d\r\n\r\n%s", status, len(q.target), q.target))
				}
			})
			r := build(t, plan{servers: []*origin{o}, tls: tls})
			c := r.client()
			// What an attacker hopes is a blind tunnel by now is the next request, read by us.
			if a := c.ask(upgrading); a.body != "/chat" || strings.Contains(a.head, "pgrade:") {
				t.Errorf("%s: %+v", status, a)
			}
			if a := c.ask("GET /next HTTP/1.1\r\nHost: a.test\r\nX_Secret: 1\r\n\r\n"); a.body != "/next" {
				t.Errorf("%s: %+v", status, a)
			}
			if s := o.seen(); strings.Contains(s, "X_Secret") || o.conns() != 1 {
				t.Errorf("%s: the server got %q", status, s)
			}
		}
	})
}

func TestWrongUpgrade(t *testing.T) {
	o := newOrigin(t, say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"))
	r := build(t, plan{servers: []*origin{o}})
	c := r.client()
	if a := c.ask(upgrading); a.status != 502 {
		t.Errorf("%+v", a)
	}
	if l := r.line(); l.Status != 502 || !strings.Contains(l.Error, "another protocol") {
		t.Errorf("log line %+v", l)
	}
}

func TestWebSocketIdle(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(w *wire) {
		w.request()
		w.send(switching)
		w.rest()
	})
	r := build(t, plan{servers: []*origin{o}, back: `timeouts { tunnel = "300ms" }`})
	// busy sends for 600 ms and returns the longest pause between two words that it made.
	busy := func(c *wire) (pause time.Duration) {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		last := time.Now()
		for range 12 {
			<-tick.C
			c.Conn.Write([]byte("x")) // that nobody hears any more shows below
			now := time.Now()
			pause, last = max(pause, now.Sub(last)), now
		}
		return pause
	}
	quick(t, 5*time.Second, func() time.Duration {
		for {
			c := r.upgrade()
			began := time.Now()
			pause := busy(c) // one side is: nothing ends as long as that is so
			c.ended()
			d := time.Since(began)
			if l := r.line(); l.Status != 101 || l.Termination[1] != 'D' {
				t.Errorf("log line %+v", l)
			}
			if pause > 200*time.Millisecond {
				continue // this machine had no time for the client, who was not busy, then
			}
			if d < 800*time.Millisecond {
				t.Errorf("ended after %v", d)
			}
			return d
		}
	})
}

func TestWebSocketBroken(t *testing.T) {
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			gone := make(chan struct{})
			o := newOrigin(t, func(w *wire) {
				defer close(gone)
				w.request()
				w.send(switching)
				w.take(1)
				if who == "server" {
					w.reset()
					return
				}
				if _, err := w.rest(); err == nil || err == io.EOF {
					return // the house may end it either way
				}
			})
			r := build(t, plan{servers: []*origin{o}})
			c := r.upgrade()
			c.send("x")
			if who == "client" {
				o.got("x")
				c.reset()
			} else {
				c.ended()
			}
			<-gone
			if l := r.line(); l.Status != 101 || l.Termination[:2] != map[string]string{"client": "CD", "server": "SD"}[who] {
				t.Errorf("log line %+v", l)
			}
		})
	}
}

// TestWebSocketWithHTTPClose: a backend that closes connections does not close those that are upgraded.
func TestWebSocketWithHTTPClose(t *testing.T) {
	o := newOrigin(t, echo)
	r := build(t, plan{servers: []*origin{o}, back: "http_close = true"})
	c := r.upgrade()
	c.send("x")
	if s, err := c.take(1); s != "x" {
		t.Errorf("%q, %v", s, err)
	}
	if strings.Contains(strings.ToLower(o.seen()), "connection: close") {
		t.Errorf("the server got %q", o.seen())
	}
}
