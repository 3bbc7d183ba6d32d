package frontend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// stand is a frontend on an in-memory network, with a function in the place of a backend.
type stand struct {
	*testing.T
	l      *loop.Loop
	f      *Frontend
	n      *Listener
	accept func(loop.Socket)
	log    *Log
	lines  lines
	panics int
}

type lines struct{ bytes.Buffer }

func (s *stand) Close() error { return nil }

// inStand tells a story in a bubble.
func inStand(t *testing.T, c *Config, next h1.RoundTripFunc, story func(s *stand)) {
	synctest.Test(t, func(t *testing.T) {
		s := &stand{T: t, l: loop.NewMem(0)}
		s.l.OnPanic = func(v any, stack []byte) { s.panics++ }
		s.log = NewLog(&LogConfig{Name: "l", Format: JSON, Empty: true}, &s.lines, nil)
		s.f = New(c, next, Options{Log: s.log})
		var err error
		s.n, err = Listen(ListenConfig{Entries: []Entry{{Frontend: s.f}}, Loops: []*loop.Loop{s.l},
			Listen: func(_ *loop.Loop, _ loop.Addr, accept func(loop.Socket)) (io.Closer, error) {
				s.accept = accept
				return s, nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		story(s)
		s.n.Shutdown()
		s.n.Wait()
		s.l.Stop()
		s.log.Close(context.Background())
		if n := s.f.Stats.Active.Load(); n != 0 {
			t.Errorf("%d exchanges are still under way", n)
		}
		if n := s.f.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

// client connects.
func (s *stand) client() net.Conn {
	near, far := net.Pipe()
	s.l.Post(func() {
		s.accept(loop.SocketOf(near, netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.1:1234")))
	})
	s.Cleanup(func() { far.Close() })
	return far
}

// read returns what the client gets until the connection ends, or nothing comes for a second.
func read(c net.Conn) (s string, ended bool) {
	var b bytes.Buffer
	c.SetReadDeadline(time.Now().Add(time.Second))
	_, err := io.Copy(&b, c)
	c.SetReadDeadline(time.Time{})
	var ne net.Error
	return b.String(), !(errors.As(err, &ne) && ne.Timeout())
}

// says is a backend that always says the same.
func says(s string) h1.RoundTripFunc {
	return func(x *h1.Exchange) error {
		x.Resp.Status, x.Resp.Length = 200, int64(len(s))
		x.Resp.Body = &h1.Static{B: []byte(s)}
		return nil
	}
}

const getX = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"

// TestPanicInBackend is row 104: one 500 and a counter; everybody else is served.
func TestPanicInBackend(t *testing.T) {
	inStand(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		if string(x.Req.Target) == "/panic" {
			panic("ouch")
		}
		return says("ok")(x)
	}, func(s *stand) {
		other := s.client()
		other.Write([]byte(getX))
		read(other)
		c := s.client()
		c.Write([]byte("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n"))
		got, _ := read(c)
		if !strings.HasPrefix(got, "HTTP/1.1 500 ") || !strings.Contains(got, "Connection: close\r\n") || strings.Contains(got, "ouch") {
			t.Errorf("%q", got)
		}
		c.Close()
		other.Write([]byte(getX))
		if got, _ := read(other); !strings.HasSuffix(got, "\r\n\r\nok") {
			t.Errorf("another client gets %q", got)
		}
		synctest.Wait()
		if s.panics != 1 {
			t.Errorf("%d panics", s.panics)
		}
		other.Close()
		s.log.Close(context.Background())
		if !strings.Contains(s.lines.String(), `"status":500`) || !strings.Contains(s.lines.String(), "panic: ouch") {
			t.Errorf("%s", s.lines.String())
		}
	})
}

// broken is content that panics behind its first piece.
type broken struct {
	n      int
	closed *bool
}

func (b *broken) Next(bool) (h1.Piece, error) {
	if b.n++; b.n > 1 {
		panic("ouch")
	}
	return h1.PieceOf([]byte("abc")), nil
}
func (b *broken) Trailer() *h1.Header { return nil }
func (b *broken) Close()              { *b.closed = true }

// TestPanicInTheMiddle: what was begun is cut, and the content is closed.
func TestPanicInTheMiddle(t *testing.T) {
	closed := false
	inStand(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		x.Resp.Status, x.Resp.Length, x.Resp.Body = 200, -1, &broken{closed: &closed}
		return nil
	}, func(s *stand) {
		c := s.client()
		c.Write([]byte(getX))
		got, ended := read(c)
		if !strings.HasSuffix(got, "3\r\nabc\r\n") || !ended {
			t.Errorf("%q, ended %v", got, ended)
		}
		synctest.Wait()
		if !closed || s.panics != 1 {
			t.Errorf("closed %v, %d panics", closed, s.panics)
		}
	})
}

// TestTimeForTheFirstHead begins with the connection and is the whole time there is.
func TestTimeForTheFirstHead(t *testing.T) {
	inStand(t, &Config{Name: "www", Timeouts: &h1.Timeouts{Request: 10 * time.Second}}, says("ok"), func(s *stand) {
		c := s.client()
		began := time.Now()
		time.Sleep(8 * time.Second) // a browser that connects ahead of its request
		c.Write([]byte("GET"))
		b := make([]byte, 100)
		n, err := c.Read(b)
		if d := time.Since(began); err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 408 ") || d < 10*time.Second || d > 10100*time.Millisecond {
			t.Errorf("%q, %v after %v", b[:n], err, d)
		}
		c.Close()
	})
}

// TestTimeForLaterHeads: idle first, then the time for a head, and nothing is said about an idle end.
func TestTimeForLaterHeads(t *testing.T) {
	inStand(t, &Config{Name: "www", Timeouts: &h1.Timeouts{Request: 10 * time.Second, Idle: time.Minute}}, says("ok"), func(s *stand) {
		c := s.client()
		for range 3 {
			c.Write([]byte(getX))
			if got, ended := read(c); !strings.HasSuffix(got, "ok") || ended {
				t.Fatalf("%q, ended %v", got, ended)
			}
			time.Sleep(50 * time.Second)
		}
		c.Write([]byte("GET /x HT"))
		time.Sleep(9 * time.Second)
		c.Write([]byte("TP/1.1\r\nHost: a\r\n\r\n"))
		if got, _ := read(c); !strings.HasSuffix(got, "ok") {
			t.Fatalf("%q", got)
		}
		began := time.Now()
		n, err := c.Read(make([]byte, 1))
		if d := time.Since(began); n > 0 || err != io.EOF || d < 58*time.Second || d > 61*time.Second {
			t.Errorf("%d bytes, %v after %v", n, err, d)
		}
	})
}

// TestAnswerTakesLongerThanAHead: the client's connection goes on afterwards.
func TestAnswerTakesLongerThanAHead(t *testing.T) {
	inStand(t, &Config{Name: "www", Timeouts: &h1.Timeouts{Request: 10 * time.Second}}, func(x *h1.Exchange) error {
		x.Loop.Sleep(30 * time.Second)
		return says("ok")(x)
	}, func(s *stand) {
		c := s.client()
		for range 3 {
			c.Write([]byte(getX))
			time.Sleep(31 * time.Second)
			if got, ended := read(c); !strings.HasSuffix(got, "ok") || ended {
				t.Fatalf("%q, ended %v", got, ended)
			}
		}
	})
}

// TestShutdownWaitsForRacingRequests: a connection that was told to stay may send one more.
func TestShutdownWaitsForRacingRequests(t *testing.T) {
	began := make(chan struct{})
	inStand(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		if string(x.Req.Target) == "/slow" {
			close(began)
			x.Loop.Sleep(5 * time.Second)
		}
		return says("ok")(x)
	}, func(s *stand) {
		idle, busy := s.client(), s.client()
		idle.Write([]byte(getX))
		if got, _ := read(idle); strings.Contains(got, "Connection: close") {
			t.Errorf("%q", got)
		}
		busy.Write([]byte("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"))
		<-began
		s.n.Shutdown()
		time.Sleep(200 * time.Millisecond)
		idle.Write([]byte(getX))
		if got, ended := read(idle); !strings.Contains(got, "Connection: close\r\n") || !strings.HasSuffix(got, "ok") {
			t.Errorf("%q, ended %v", got, ended)
		}
		idle.Close()
		time.Sleep(5 * time.Second)
		if got, _ := read(busy); !strings.Contains(got, "Connection: close\r\n") || !strings.HasSuffix(got, "ok") {
			t.Errorf("%q", got)
		}
		busy.Close()
	})
}

// TestAbortCancels: what an exchange waits for elsewhere ends with it.
func TestAbortCancels(t *testing.T) {
	inStand(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		var e loop.Event
		x.Cancel = func() { e.Set(x.Loop) }
		e.Wait(x.Loop, time.Hour)
		return &h1.Error{Status: 502, Side: h1.ByServer, Err: errors.New("cancelled")}
	}, func(s *stand) {
		c := s.client()
		c.Write([]byte(getX))
		synctest.Wait()
		began := time.Now()
		s.n.Abort()
		s.n.Wait()
		if d := time.Since(began); d > time.Second {
			t.Errorf("after %v", d)
		}
		if got, ended := read(c); got != "" || !ended {
			t.Errorf("%q, ended %v", got, ended)
		}
		s.log.Close(context.Background())
		if !strings.Contains(s.lines.String(), `"termination":"KH--"`) {
			t.Errorf("%s", s.lines.String())
		}
	})
}

// TestGreetersMakeRoom: the one that takes longest leaves first.
func TestGreetersMakeRoom(t *testing.T) {
	l := loop.NewMem(0)
	defer l.Stop()
	done := make(chan struct{})
	l.Post(func() {
		defer close(done)
		var g greeters
		all := make([]*conn, greetings+3)
		for i := range all {
			near, far := net.Pipe()
			defer far.Close()
			all[i] = &conn{}
			all[i].Init(l.Adapt(near, netip.AddrPort{}, netip.AddrPort{}), nil, h1.ByClient)
			if g.add(all[i]); i == 1 { // one that has come through is not in the way
				g.remove(all[1])
				g.remove(all[1])
			}
		}
		for i, c := range all {
			if want := i == 0 || i == 2; c.C.Closed() != want {
				t.Errorf("connection %d: closed %v", i, c.C.Closed())
			}
			c.C.Close()
			g.remove(c)
		}
		if g.n != 0 || g.first != nil || g.last != nil {
			t.Errorf("%d left", g.n)
		}
	})
	<-done
}
