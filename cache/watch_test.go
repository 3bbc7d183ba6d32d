package cache

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// clientOf starts a request that came on a connection, and returns the client's end of it.
func (r *rig) clientOf(q request) (far net.Conn, done <-chan *answer) {
	near, far := net.Pipe()
	l := r.loops[q.loop]
	c := make(chan *answer, 1)
	l.Post(func() {
		conn := l.Adapt(near, netip.AddrPort{}, netip.AddrPort{})
		l.Go(loop.Func(func() {
			x := &h1.Exchange{Loop: l, Client: conn}
			x.Reset()
			x.Client = conn
			if _, err := conn.TryRead(make([]byte, 1)); err != loop.ErrWouldBlock { // as after a request's head
				r.t.Errorf("before anything was sent: %v", err)
			}
			c <- r.exchange(x, q)
			conn.Close()
		}))
	})
	return far, c
}

// A client that leaves while it waits for the answer to another one's request is let go at once.
func TestWaitingClientThatLeavesIsReleased(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		r.slowly(time.Second, fresh)
		first := r.start(request{text: "GET /page"})
		time.Sleep(time.Millisecond)
		var far []net.Conn
		var list []<-chan *answer
		const crowd = 2*maxAlone + 1
		for i := range crowd {
			f, done := r.clientOf(request{text: "GET /page", loop: i % 2})
			far, list = append(far, f), append(list, done)
		}
		sleep(500 * time.Millisecond)
		for _, f := range far[1:] {
			f.Close()
		}
		for i, c := range list[1:] {
			if a := <-c; !blames(a.err, h1.ByClient) || a.took != 500*time.Millisecond {
				t.Errorf("client %d: %v after %v", i+1, a.err, a.took)
			}
		}
		for i, c := range []<-chan *answer{first, list[0]} {
			if a := <-c; a.err != nil || a.body != "hello" {
				t.Errorf("who stayed %d: %q, %v", i, a.body, a.err)
			}
		}
		far[0].Close()
		if n := r.asked(); n != 1 {
			t.Errorf("the server was asked %d times", n)
		}
	})
}

// A client that is gone before it would have to wait does not wait at all.
func TestClientThatIsGoneDoesNotWait(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.slowly(time.Second, fresh)
		first := r.start(request{text: "GET /page"})
		time.Sleep(time.Millisecond)
		near, far := net.Pipe()
		done := make(chan *answer, 1)
		l := r.loops[0]
		l.Post(func() {
			conn := l.Adapt(near, netip.AddrPort{}, netip.AddrPort{})
			l.Go(loop.Func(func() {
				conn.TryRead(make([]byte, 1))
				far.Close()
				l.Sleep(100 * time.Millisecond)
				x := &h1.Exchange{Loop: l}
				x.Reset()
				x.Client = conn
				done <- r.exchange(x, request{text: "GET /page"})
				conn.Close()
			}))
		})
		if a := <-done; !blames(a.err, h1.ByClient) || a.took != 0 {
			t.Errorf("%v after %v", a.err, a.took)
		}
		<-first
	})
}

// Who is being sent the answer may end its side: it still wants the rest.
func TestReadingClientThatEndsItsSideGetsAll(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.streams("HTTP/1.1 200 OK\nCache-Control: max-age=60\nTransfer-Encoding: chunked", time.Second, nil, "one ", "two ", "three")
		first := r.start(request{text: "GET /page"})
		time.Sleep(1500 * time.Millisecond)
		far, done := r.clientOf(request{text: "GET /page"})
		time.Sleep(time.Millisecond)
		far.Close()
		for i, c := range []<-chan *answer{first, done} {
			if a := <-c; a.err != nil || a.body != "one two three" {
				t.Errorf("client %d: %q, %v", i, a.body, a.err)
			} else if i == 1 && !strings.HasSuffix(a.verdict(), "collapsed") {
				t.Error(a.verdict())
			}
		}
	})
}
