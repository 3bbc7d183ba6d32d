package house_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestNothingIsLost is row 99: through many reloads, while servers are killed and started again, no idempotent request fails, whether on
// connections that stay or on new ones; a download, an upload and a WebSocket that began before them all are whole.
func TestNothingIsLost(t *testing.T) {
	reloads := 40
	if testing.Short() || raceEnabled {
		reloads = 6
	}
	goOn := make(chan struct{})
	serve := func(w *wire) {
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			if q.upgrade() {
				w.send(switching)
				io.Copy(w.Conn, w.r)
				return
			}
			switch {
			case q.target == "/down":
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + strings.Repeat("x", 1_000_000))
				<-goOn
				w.send(strings.Repeat("y", 1_000_000))
			case w.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine") != nil:
				return
			}
		}
	}
	steady, shaky, third := newOrigin(t, serve), newOrigin(t, serve), newOrigin(t, serve)
	const checks = "check \"tcp\" {\n interval = \"50ms\"\n fall = 2\n rise = 1\n}\n"
	text := func(i int) string {
		servers := []*origin{steady, shaky}
		if i%3 == 2 {
			servers = append(servers, third)
		}
		more := ""
		if i%2 == 1 { // an address that comes and goes
			more = "frontend \"more\" {\n bind \"unix:DIR/more\" {}\n backend = backend.app\n}\n"
		}
		return web(fmt.Sprintf("%sretries = %d\n", checks, 3+i%4), servers...) +
			fmt.Sprintf("frontend \"other\" {\n bind \"unix:DIR/other\" {}\n backend = backend.other\n max_connections = %d\n}\n", 1000+i) +
			strings.NewReplacer("\"app\"", "\"other\"").Replace(app("", steady)) + more
	}
	var texts []string
	for i := range reloads + 1 {
		texts = append(texts, text(i))
	}
	s := newLodge(t, texts[0])
	s.settled("app")

	down, up, chat := s.client("other"), s.client("other"), s.client("other")
	down.send("GET /down HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if _, err := down.head(); err != nil {
		t.Fatal(err)
	}
	up.send("POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\n")
	chat.send("GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if head, err := chat.head(); err != nil || !strings.Contains(head, "101") {
		t.Fatalf("%q, %v", head, err)
	}

	var over atomic.Bool
	var asked, failed atomic.Int64
	var wg sync.WaitGroup
	ask := func(c *wire) bool {
		asked.Add(1)
		err := c.send(get)
		var a *answer
		if err == nil {
			a, err = c.answer("GET")
		}
		if err != nil || a.status != 200 || a.body != "fine" {
			if failed.Add(1) < 5 {
				t.Errorf("request %d: %+v, %v", asked.Load(), a, err)
			}
			return false
		}
		if a.close {
			t.Error("the connection ends though its address stays")
		}
		return true
	}
	for range 3 {
		wg.Go(func() {
			c, err := s.dial("www")
			for err == nil && !over.Load() && ask(c) {
				c.SetDeadline(time.Now().Add(patience))
			}
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	wg.Go(func() {
		for !over.Load() {
			c, err := s.dial("www")
			if err != nil {
				t.Error(err)
				return
			}
			good := ask(c)
			c.Close()
			if !good {
				return
			}
		}
	})
	killed := make(chan int)
	wg.Go(func() {
		n := 0
		defer func() { killed <- n }()
		for !over.Load() {
			seen := asked.Load()
			shaky.stop()
			s.pass(&asked, seen+50, &over)
			shaky.start()
			s.pass(&asked, seen+200, &over)
			n++
		}
	})
	for i := range reloads {
		s.pass(&asked, asked.Load()+200, &over)
		s.reload(texts[i+1])
		line := fmt.Sprintf("ping %02d", i)
		chat.send(line)
		if b, err := chat.take(len(line)); b != line {
			t.Fatalf("WebSocket: %q, %v", b, err)
		}
		if i < 10 {
			up.send("0123456789")
		}
	}
	for i := reloads; i < 10; i++ {
		up.send("0123456789")
	}
	over.Store(true)
	n := <-killed
	wg.Wait()
	close(goOn)
	if b, err := down.take(2_000_000); err != nil || strings.Count(b, "y") != 1_000_000 {
		t.Errorf("download: %d bytes, %v", len(b), err)
	}
	if a, err := up.answer("POST"); err != nil || a.status != 200 {
		t.Errorf("upload: %+v, %v", a, err)
	}
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
	if g := s.h.Generation(); g != reloads+1 {
		t.Errorf("generation %d", g)
	}
	t.Logf("%d requests, %d reloads, a server killed %d times", asked.Load(), reloads, n)
}

// dial connects to the socket of that name, from any goroutine.
func (s *lodge) dial(name string) (*wire, error) {
	nc, err := net.Dial("unix", s.path(name))
	if err != nil {
		return nil, err
	}
	return newWire(s.TB, nc), nil
}

// pass waits until a counter has come that far, or it is over.
func (s *lodge) pass(n *atomic.Int64, far int64, over *atomic.Bool) {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for n.Load() < far && !over.Load() {
		select {
		case <-again.C:
		case <-late:
			s.Error(errors.New("requests have come to a halt"))
			return
		}
	}
}
