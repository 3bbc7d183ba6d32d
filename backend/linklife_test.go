package backend

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// TestLinkRetries: what a server has certainly not acted on is sent again, content and all; what it may have acted on is not.
func TestLinkRetries(t *testing.T) {
	refuse := func(s *h2server) {
		s.greet()
		for id := s.request(true); id != 0; id = s.request(true) {
			if id == 1 {
				s.fr.WriteRSTStream(id, http2.ErrCodeRefusedStream)
				continue
			}
			s.head(id, true, ":status: 201")
		}
	}
	farewell := func(s *h2server) {
		s.greet()
		s.request(true)
		s.fr.WriteGoAway(0, http2.ErrCodeNo, nil)
		s.verdict(0)
	}
	vanish := func(s *h2server) {
		s.greet()
		s.request(true)
	}
	for _, tt := range []struct {
		name, method, body string
		play               []func(s *h2server)
		status             int
		retries            int
	}{
		{"refused", "POST", "some", []func(s *h2server){refuse}, 201, 1},
		{"refused without content", "GET", "", []func(s *h2server){refuse}, 201, 1},
		{"GOAWAY", "POST", "some", []func(s *h2server){farewell, answering}, 200, 1},
		{"vanished, GET", "GET", "", []func(s *h2server){vanish, answering}, 200, 1},
		{"vanished, POST", "POST", "some", []func(s *h2server){vanish}, 502, 0},
		{"refused, and too long to be kept", "POST", strings.Repeat("x", 50_000), []func(s *h2server){refuse}, 502, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := framing(t, nil, tt.play...).ask(tt.method, tt.body)
			status := got.status
			if he, ok := got.err.(*h1.Error); ok {
				status = he.Status
			}
			if status != tt.status || got.note.Retries != tt.retries {
				t.Errorf("%v after %d retries, want %d after %d", got, got.note.Retries, tt.status, tt.retries)
			}
		})
	}
}

// TestLinkIsShared: exchanges share a connection as far as the server allows, and further ones get another.
func TestLinkIsShared(t *testing.T) {
	opened := make(chan uint32, 10)
	goOn := make(chan bool)
	play := func(s *h2server) {
		s.greet(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2})
		var ids []uint32
		for range 2 {
			ids = append(ids, s.request(true))
			opened <- ids[len(ids)-1]
		}
		<-goOn
		for _, id := range ids {
			s.head(id, true, ":status: 200")
		}
		s.verdict(0)
	}
	b := framing(t, nil, play, play)
	var done []chan told
	for range 4 {
		done = append(done, b.start("GET", ""))
		<-opened
	}
	close(goOn)
	for _, d := range done {
		if got := <-d; got.status != 200 || got.err != nil {
			t.Errorf("%v", got)
		}
	}
	if n := b.p.servers[0].stats.Connections.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestLinkWindows: content waits for the server's window, and other calls do not wait for it.
func TestLinkWindows(t *testing.T) {
	waits, goOn := make(chan bool), make(chan bool)
	b := framing(t, nil, func(s *h2server) {
		s.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
		slow := s.request(false)
		n := 0
		for n < 10 {
			f, err := s.fr.ReadFrame()
			if err != nil {
				s.Errorf("%v", err)
				return
			}
			if d, ok := f.(*http2.DataFrame); ok {
				n += len(d.Data())
			}
		}
		waits <- true
		<-goOn
		s.head(s.request(true), true, ":status: 204")
		s.fr.WriteWindowUpdate(slow, 100_000)
		for n < 50_000 {
			f, err := s.fr.ReadFrame()
			if err != nil {
				s.Errorf("after %d bytes: %v", n, err)
				return
			}
			if d, ok := f.(*http2.DataFrame); ok {
				n += len(d.Data())
			}
		}
		s.head(slow, true, ":status: 200")
		s.verdict(0)
	})
	slow := b.start("POST", strings.Repeat("x", 50_000))
	<-waits
	other := b.start("GET", "")
	close(goOn)
	if got := <-other; got.status != 204 {
		t.Errorf("the other: %v", got)
	}
	if got := <-slow; got.status != 200 || got.note.BytesIn != 50_000 {
		t.Errorf("%v, %d bytes", got, got.note.BytesIn)
	}
}

// TestLinkSlowClient: a client that takes nothing holds up its own stream alone, and what is kept for it is bounded.
func TestLinkSlowClient(t *testing.T) {
	full := make(chan int, 1)
	b := framing(t, nil, func(s *h2server) {
		s.greet()
		slow := s.request(true)
		s.head(slow, false, ":status: 200")
		for n := 0; n < firstInflow; n += 16384 {
			s.fr.WriteData(slow, false, make([]byte, 16384))
		}
		full <- firstInflow
		for id := s.request(true); id != 0; id = s.request(true) {
			s.head(id, false, ":status: 200")
			for range 7 {
				s.fr.WriteData(id, false, make([]byte, 16384))
			}
			s.fr.WriteData(id, true, nil)
		}
	})
	x := &h1.Exchange{Loop: b.l}
	began, end := make(chan error, 1), make(chan bool)
	var stop loop.Event
	b.l.Post(func() {
		b.l.Go(loop.Func(func() {
			x.Reset()
			x.Req.Method, x.Req.Target = []byte("GET"), []byte("/")
			began <- b.p.RoundTrip(x)
			stop.Wait(b.l, 0)
			x.Resp.Body.Close()
			close(end)
		}))
	})
	if err := <-began; err != nil {
		t.Fatal(err)
	}
	<-full
	for range 2 * connInflow / (7 * 16384) { // more than the connection's first window in all
		if got := b.ask("GET", ""); got.status != 200 || len(got.body) != 7*16384 {
			t.Fatalf("%d, %d bytes, %v", got.status, len(got.body), got.err)
		}
	}
	b.l.Post(func() { stop.Set(b.l) })
	<-end
}

// TestLinkCancel: an exchange that nobody waits for any more ends on the server, and its link goes on.
func TestLinkCancel(t *testing.T) {
	for _, answered := range []bool{false, true} {
		asked, verdict := make(chan bool, 1), make(chan string, 1)
		b := framing(t, nil, func(s *h2server) {
			s.greet()
			id := s.request(true)
			if answered {
				s.head(id, false, ":status: 200")
			}
			asked <- true
			verdict <- s.verdict(id)
			s.head(s.request(true), true, ":status: 204")
			s.verdict(0)
		})
		x := &h1.Exchange{Loop: b.l}
		done := make(chan told, 1)
		b.l.Post(func() {
			b.l.Go(loop.Func(func() {
				x.Reset()
				x.Req.Method, x.Req.Target = []byte("GET"), []byte("/")
				done <- b.run(x)
			}))
		})
		<-asked
		b.l.Post(func() { x.Cancel() })
		if got := <-done; got.err == nil || got.err.(*h1.Error).Side != h1.ByClient {
			t.Errorf("%v", got)
		}
		if got := <-verdict; got != "RST CANCEL" {
			t.Errorf("the server is told %s", got)
		}
		if got := b.ask("GET", ""); got.status != 204 {
			t.Errorf("the next: %v", got)
		}
	}
}

// TestLinkServerTime: a server that does not answer in time is answered for, and told; its other streams go on.
func TestLinkServerTime(t *testing.T) {
	verdict := make(chan string, 1)
	b := framing(t, func(c *Config) { c.Timeouts = &h1.Timeouts{Server: 30 * time.Millisecond} }, func(s *h2server) {
		s.greet()
		verdict <- s.verdict(s.request(true))
		s.head(s.request(true), true, ":status: 204")
		s.verdict(0)
	})
	got := b.ask("POST", "x")
	if he, ok := got.err.(*h1.Error); !ok || he.Status != 504 || he.Cause != 's' {
		t.Errorf("%v", got)
	}
	if got := <-verdict; got != "RST CANCEL" {
		t.Errorf("the server is told %s", got)
	}
	if got := b.ask("GET", ""); got.status != 204 {
		t.Errorf("the next: %v", got)
	}
}

// TestLinkEarlyAnswer: a server may answer before it has read the content, and not want the rest.
func TestLinkEarlyAnswer(t *testing.T) {
	b := framing(t, nil, func(s *h2server) {
		s.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
		id := s.request(false)
		s.head(id, false, ":status: 413")
		s.fr.WriteData(id, true, []byte("too much"))
		s.fr.WriteRSTStream(id, http2.ErrCodeNo)
		s.verdict(0)
	})
	if got := b.ask("POST", strings.Repeat("x", 50_000)); got.status != 413 || got.body != "too much" || got.err != nil {
		t.Errorf("%v", got)
	}
}

// TestLinkRetires: a server in maintenance, or a pool that is closed, keeps no link, but for what is under way.
func TestLinkRetires(t *testing.T) {
	asked, goOn, verdict := make(chan bool, 1), make(chan bool), make(chan string, 1)
	b := framing(t, nil, func(s *h2server) {
		s.greet()
		id := s.request(true)
		asked <- true
		<-goOn
		s.head(id, true, ":status: 200")
		verdict <- s.verdict(0)
	}, answering)
	done := b.start("GET", "")
	<-asked
	b.p.Close()
	if got := b.ask("GET", ""); got.status != 200 { // on a link of its own
		t.Errorf("after Close: %v", got)
	}
	close(goOn)
	if got := <-done; got.status != 200 {
		t.Errorf("%v", got)
	}
	if got := <-verdict; got != "GOAWAY NO_ERROR" {
		t.Errorf("the server is told %s", got)
	}
}

// TestLinkSilence: a server that says nothing at all any more is asked whether it lives, and left when it does not answer. One that
// answers is not asked again for as long as servers of gRPC can bear.
func TestLinkSilence(t *testing.T) {
	for _, lives := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := newLab(t)
			defer b.close()
			pings := make(chan time.Duration, 100)
			b.set("10.0.0.1:80", func(nc net.Conn) {
				s := newH2Server(t, nc)
				s.greet()
				s.request(true)
				began := time.Now()
				for {
					f, err := s.fr.ReadFrame()
					if err != nil {
						return
					}
					if p, ok := f.(*http2.PingFrame); ok && !p.IsAck() {
						pings <- time.Since(began).Round(time.Second)
						if lives {
							s.fr.WritePing(true, p.Data)
						}
					}
				}
			})
			a, _ := loop.ParseAddr("10.0.0.1:80")
			p, err := New(&Config{Name: "app", Timeouts: &h1.Timeouts{Server: 20 * time.Minute}, Servers: []*Server{{Name: "A", Address: a, Weight: 1, Protocol: ProtocolHTTP2}}},
				Options{Loops: []*loop.Loop{b.l}, Dial: b.dial})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			r := &bench{TB: t, l: b.l, p: p}
			done := r.start("POST", "x")
			b.sleep(19 * time.Minute)
			var at []time.Duration
			for len(pings) > 0 {
				at = append(at, <-pings)
			}
			if lives {
				if len(at) < 3 || at[0] != 10*time.Second || at[1]-at[0] < pingEvery {
					t.Errorf("asked after %v", at)
				}
				b.sleep(2 * time.Minute)
				if got := <-done; got.err == nil || got.err.(*h1.Error).Status != 504 {
					t.Errorf("%v", got)
				}
				return
			}
			if len(at) != 1 {
				t.Errorf("asked after %v", at)
			}
			if got := <-done; got.err == nil || !strings.Contains(got.err.Error(), "PING") {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestLinkIdle: a link with nothing to do ends after a while, in good order.
func TestLinkIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		verdict := make(chan string, 1)
		b.set("10.0.0.1:80", func(nc net.Conn) {
			s := newH2Server(t, nc)
			s.greet()
			s.head(s.request(true), true, ":status: 204")
			verdict <- s.verdict(0)
		})
		a, _ := loop.ParseAddr("10.0.0.1:80")
		p, err := New(&Config{Name: "app", Servers: []*Server{{Name: "A", Address: a, Weight: 1, Protocol: ProtocolHTTP2}}}, Options{Loops: []*loop.Loop{b.l}, Dial: b.dial})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		began := time.Now()
		r := &bench{TB: t, l: b.l, p: p}
		if got := <-r.start("GET", ""); got.status != 204 {
			t.Errorf("%v", got)
		}
		if got, d := <-verdict, time.Since(began).Round(time.Second); got != "GOAWAY NO_ERROR" || d != idleTime {
			t.Errorf("%s after %v", got, d)
		}
	})
}

// TestLinkNotMade: who waits for a link hears in time that there is none.
func TestLinkNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		b.set("10.0.0.1:80", holds)
		a, _ := loop.ParseAddr("10.0.0.1:80")
		p, err := New(&Config{Name: "app", Servers: []*Server{{Name: "A", Address: a, Weight: 1, Protocol: ProtocolHTTP2}}}, Options{Loops: []*loop.Loop{b.l}, Dial: b.dial})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		r := &bench{TB: t, l: b.l, p: p}
		first, second := r.start("GET", ""), r.start("POST", "x")
		for _, d := range []chan told{first, second} {
			got := <-d
			he, ok := got.err.(*h1.Error)
			if !ok || he.Status != 503 || he.Cause != 's' {
				t.Errorf("%v", got)
			}
		}
		if n := len(b.dialled()); n != 1 {
			t.Errorf("%d connections were tried", n)
		}
	})
}
