package house_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// ending runs Shutdown with so much grace.
func (r *rig) ending(grace time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.shutdown(grace) }()
	return done
}

// refused waits until nobody listens any more.
func (r *rig) refused() {
	r.Helper()
	for end := time.Now().Add(patience); ; {
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			return
		}
		nc.Close()
		if time.Now().After(end) {
			r.Fatal("the house still listens")
		}
	}
}

// TestShutdownFinishesWhatIsUnderWay is row 100: a download, an upload, an answer that takes time and a WebSocket go on to their end.
func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		goOn := make(chan struct{})
		o := newOrigin(t, func(w *wire) {
			head, err := w.head()
			if err != nil {
				return
			}
			switch {
			case strings.HasPrefix(head, "GET /down"):
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("x", 5_000_000))
				<-goOn
				w.send(strings.Repeat("y", 5_000_000))
			case strings.HasPrefix(head, "POST /up"):
				s, _ := w.take(10)
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + s)
			case strings.HasPrefix(head, "GET /chat"):
				w.send(switching)
				io.Copy(w.Conn, w.r)
			default:
				<-goOn
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
			w.rest()
		})
		r := build(t, plan{servers: []*origin{o}, tls: tls, loops: 2})
		down, up, think, chat := r.client(), r.client(), r.client(), r.upgrade()
		down.send("GET /down HTTP/1.1\r\nHost: a.test\r\n\r\n")
		if _, err := down.head(); err != nil {
			t.Fatal(err)
		}
		up.send("POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello")
		think.send("GET /think HTTP/1.1\r\nHost: a.test\r\n\r\n")
		o.got("hello")
		o.got("GET /think")

		done := r.ending(patience)
		r.refused()
		chat.send("still here")
		if s, err := chat.take(10); s != "still here" {
			t.Errorf("WebSocket: %q, %v", s, err)
		}
		up.send("world")
		if a, err := up.answer("POST"); err != nil || a.body != "helloworld" || !a.close {
			t.Errorf("upload: %+v, %v", a, err)
		}
		close(goOn)
		if a, err := think.answer("GET"); err != nil || a.body != "ok" || !a.close {
			t.Errorf("%+v, %v", a, err)
		}
		up.Close()
		think.Close()
		if n, err := io.CopyN(io.Discard, down.r, 10_000_000); err != nil {
			t.Errorf("download: %d, %v", n, err)
		}
		select {
		case <-done:
			t.Error("ended before the WebSocket")
		default:
		}
		chat.Close()
		down.Close()
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// TestShutdownAndIdleConnections: a request that is on its way is answered, and told that it was the last one; then the rest is closed.
func TestShutdownAndIdleConnections(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, tls bool) {
		quick(t, 3*time.Second, func() time.Duration {
			o := newOrigin(t, nil)
			r := build(t, plan{servers: []*origin{o}, tls: tls, loops: 2})
			const get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
			idle, racing, fresh := r.client(), r.client(), r.client()
			idle.ask(get)
			racing.ask(get)
			began := time.Now()
			done := r.ending(patience)
			r.refused()
			for _, c := range []*wire{racing, fresh} {
				if a := c.ask(get); a.status != 200 || !a.close {
					t.Errorf("%+v", a)
				}
				c.ended()
				c.Close()
			}
			idle.ended()
			idle.Close()
			if err := <-done; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			return time.Since(began)
		})
	})
}

// TestAbort: when the grace is over everything is cut, whatever it waits for, and nothing is left.
func TestAbort(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		before := descriptors(t)
		t.Run("cut", func(t *testing.T) {
			quick(t, 2*time.Second, func() time.Duration {
				o := newOrigin(t, func(w *wire) {
					head, err := w.head()
					if err != nil {
						return
					}
					switch {
					case strings.HasPrefix(head, "GET /down"):
						w.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
					case strings.HasPrefix(head, "GET /flood"):
						w.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
						io.Copy(w.Conn, &zeros{left: 1_000_000_000})
					case strings.HasPrefix(head, "GET /chat"):
						w.send(switching)
					}
					w.rest()
				})
				refused := newOrigin(t, nil)
				refused.stop()
				r := build(t, plan{servers: []*origin{o}, tls: tls, loops: 2, front: `
		route {
			paths   = ["/refused"]
			backend = backend.refused
		}
		route {
			paths   = ["/queue"]
			backend = backend.queue
		}`, more: fmt.Sprintf(`
	backend "refused" {
		retries = 1000
		server "A" %q {}
	}
	backend "queue" {
		timeouts { queue = "1m" }
		server "A" %q { max_connections = 1 }
	}`, refused.addr, o.addr)})
				var cs []*wire
				for _, s := range []string{
					"", "GET / HT", "GET /think HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /down HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /flood HTTP/1.1\r\nHost: a.test\r\n\r\n",
					"POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello", upgrading,
					"POST /up HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
					"GET /refused HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /queue HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /queue HTTP/1.1\r\nHost: a.test\r\n\r\n",
				} {
					c := r.client()
					c.send(s)
					if strings.Contains(s, "/down") || s == upgrading {
						if _, err := c.head(); err != nil {
							t.Fatal(err)
						}
					}
					cs = append(cs, c)
				}
				o.got("/think")
				o.got("hello")
				o.got("/queue")
				began := time.Now()
				if err := <-r.ending(200 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Shutdown: %v", err)
				}
				d := time.Since(began)
				for _, c := range cs {
					c.rest()
					c.Close()
				}
				killed := 0
				for len(r.lines.lines) > 0 {
					if l := <-r.lines.lines; l.Termination[0] == 'K' {
						killed++
					}
				}
				if killed < 6 {
					t.Errorf("%d lines of exchanges that were cut", killed)
				}
				return d
			})
		})
		if after := descriptors(t); after > before+2 {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

// descriptors returns how many this process has.
func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(list)
}

func TestShutdownTwice(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}})
	r.client().ask(get)
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := r.h.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// TestShutdownOfNothing ends at once.
func TestShutdownOfNothing(t *testing.T) {
	quick(t, time.Second, func() time.Duration {
		r := build(t, plan{servers: []*origin{newOrigin(t, nil)}})
		began := time.Now()
		if err := <-r.ending(patience); err != nil {
			t.Error(err)
		}
		return time.Since(began)
	})
}
