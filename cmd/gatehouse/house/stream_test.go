package house_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// zeros is content of some size, made as it is read.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	clear(p[:n])
	z.left -= int64(n)
	return n, nil
}

// sizes are those of the great streams: enough to see whether anything grows with them.
func great() int64 {
	if testing.Short() || raceEnabled {
		return 64 << 20
	}
	return 256 << 20
}

// heapNow returns the bytes in use.
func heapNow() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// TestGreatDownload and upload: the content arrives, and the memory stays what it was.
func TestGreatDownload(t *testing.T) {
	size := great()
	for _, framing := range []string{"length", "chunked"} {
		t.Run(framing, func(t *testing.T) {
			o := newOrigin(t, func(w *wire) {
				if _, err := w.request(); err != nil {
					return
				}
				w.SetDeadline(time.Now().Add(2 * time.Minute))
				if framing == "length" {
					w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
					io.Copy(w.Conn, &zeros{left: size})
					return
				}
				w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				piece := "10000\r\n" + strings.Repeat("\x00", 64<<10) + "\r\n"
				for range size / (64 << 10) {
					w.send(piece)
				}
				w.send("0\r\n\r\n")
			})
			r := build(t, plan{servers: []*origin{o}})
			c := r.client()
			c.SetDeadline(time.Now().Add(2 * time.Minute))
			before := heapNow()
			c.send(get)
			head, err := c.head()
			if err != nil {
				t.Fatal(err)
			}
			var n int64
			if framing == "length" {
				n, err = io.CopyN(io.Discard, c.r, size)
			} else {
				var count counter
				err = c.chunks(&count)
				n = int64(count)
			}
			if err != nil || n != size {
				t.Fatalf("%d bytes of %d, %v, after %q", n, size, err, head)
			}
			if grown := heapNow() - before; grown > 16<<20 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
		})
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

func TestGreatUpload(t *testing.T) {
	size := great()
	for _, framing := range []string{"length", "chunked"} {
		t.Run(framing, func(t *testing.T) {
			o := newOrigin(t, func(w *wire) {
				w.SetDeadline(time.Now().Add(2 * time.Minute))
				if _, err := w.head(); err != nil {
					return
				}
				var n int64
				if w.saw = nil; framing == "length" {
					n, _ = io.CopyN(io.Discard, w.r, size)
				} else {
					var count counter
					if err := w.chunks(&count); err != nil {
						w.Error(err)
					}
					n = int64(count)
				}
				w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n%12d", n))
			})
			r := build(t, plan{servers: []*origin{o}})
			c := r.client()
			c.SetDeadline(time.Now().Add(2 * time.Minute))
			before := heapNow()
			if framing == "length" {
				c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
				io.Copy(c.Conn, &zeros{left: size})
			} else {
				c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
				piece := "10000\r\n" + strings.Repeat("\x00", 64<<10) + "\r\n"
				for range size / (64 << 10) {
					c.send(piece)
				}
				c.send("0\r\n\r\n")
			}
			a, err := c.answer("POST")
			if err != nil || a.body != fmt.Sprintf("%12d", size) || a.close {
				t.Fatalf("%+v, %v", a, err)
			}
			if grown := heapNow() - before; grown > 16<<20 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
			if l := r.line(); l.BytesIn < size || l.BytesIn > size+1000 {
				t.Errorf("the log has %d bytes", l.BytesIn)
			}
		})
	}
}

// TestSlowReaderStopsTheServer has a client that does not read: what the house takes from the server meanwhile is bounded by the sockets'
// buffers, and all of it arrives when the client goes on.
func TestSlowReaderStopsTheServer(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, tls bool) {
		const size = 64 << 20
		var sent atomic.Int64
		stalled := make(chan struct{})
		o := newOrigin(t, func(w *wire) {
			w.request()
			w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
			b := make([]byte, 32<<10)
			told := false
			for sent.Load() < size {
				if !told {
					w.SetWriteDeadline(time.Now().Add(time.Second))
				}
				n, err := w.Conn.Write(b)
				sent.Add(int64(n))
				if err != nil {
					if ne, ok := err.(net.Error); !ok || !ne.Timeout() || told {
						return
					}
					told = true
					close(stalled) // nothing was taken for a whole second
					w.SetWriteDeadline(time.Now().Add(time.Minute))
					if n, err = w.Conn.Write(b[n:]); err != nil {
						return
					}
					sent.Add(int64(n))
				}
			}
		})
		r := build(t, plan{servers: []*origin{o}, tls: tls})
		c := r.client()
		c.SetDeadline(time.Now().Add(time.Minute))
		c.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		select {
		case <-stalled:
		case <-time.After(patience):
			t.Fatalf("the server was never stopped: %d bytes", sent.Load())
		}
		if n := sent.Load(); n > 32<<20 {
			t.Errorf("%d bytes were taken from the server for a client that does not read", n)
		}
		if !raceEnabled {
			if _, err := c.head(); err != nil {
				t.Fatal(err)
			}
			if n, err := io.CopyN(io.Discard, c.r, size); err != nil {
				t.Errorf("%d bytes arrived, %v", n, err)
			}
		}
	})
}

// TestSlowServerStopsTheClient is the same the other way round.
func TestSlowServerStopsTheClient(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	goOn := make(chan struct{})
	o := newOrigin(t, func(w *wire) {
		w.SetDeadline(time.Now().Add(time.Minute))
		if _, err := w.head(); err != nil {
			return
		}
		<-goOn
		w.saw = nil
		n, _ := io.CopyN(io.Discard, w.r, size)
		w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n%12d", n))
	})
	r := build(t, plan{servers: []*origin{o}})
	c := r.client()
	c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
	b := make([]byte, 32<<10)
	sent := 0
	for sent < size {
		c.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := c.Conn.Write(b)
		sent += n
		if err != nil {
			break
		}
	}
	if sent > 32<<20 {
		t.Errorf("%d bytes were taken from the client for a server that does not read", sent)
	}
	close(goOn)
	c.SetDeadline(time.Now().Add(time.Minute))
	io.Copy(c.Conn, &zeros{left: int64(size - sent)})
	if a, err := c.answer("POST"); err != nil || a.body != fmt.Sprintf("%12d", size) {
		t.Errorf("%+v, %v; %+v", a, err, r.line())
	}
}

// TestPipeline sends a thousand requests in one write, with and without content: the answers come in order.
func TestPipeline(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		o := newOrigin(t, nil)
		r := build(t, plan{servers: []*origin{o}, tls: tls})
		c := r.client()
		const n = 1000
		var b bytes.Buffer
		want := make([]string, n)
		method := make([]string, n)
		for i := range n {
			switch i % 5 {
			case 0:
				fmt.Fprintf(&b, "POST /%d HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n%s", i, i, strings.Repeat("x", i))
				method[i], want[i] = "POST", fmt.Sprintf("POST /%d %d", i, i)
			case 1:
				fmt.Fprintf(&b, "PUT /%d HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n3\r\nabc\r\n0\r\n\r\n", i, i, strings.Repeat("y", i))
				method[i], want[i] = "PUT", fmt.Sprintf("PUT /%d %d", i, i+3)
			case 2:
				fmt.Fprintf(&b, "HEAD /%d HTTP/1.1\r\nHost: a.test\r\n\r\n", i)
				method[i] = "HEAD"
			default:
				fmt.Fprintf(&b, "GET /%d HTTP/1.1\r\nHost: a.test\r\n\r\n", i)
				method[i], want[i] = "GET", fmt.Sprintf("GET /%d 0", i)
			}
		}
		go c.send(b.String())
		for i := range n {
			a, err := c.answer(method[i])
			if err != nil || a.status != 200 || a.body != want[i] {
				t.Fatalf("answer %d: %+v, %v; want %q", i, a, err, want[i])
			}
		}
		if o.conns() > 1+n/500 { // an upload may give way to others between its last byte and its end: then its connection is not kept
			t.Errorf("%d connections to the server", o.conns())
		}
	})
}

// TestEarlyAnswerToGreatUpload: the answer is delivered although 50 MB are still to come, and nobody waits for them.
func TestEarlyAnswerToGreatUpload(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		o := newOrigin(t, func(w *wire) {
			w.head()
			w.send("HTTP/1.1 413 Too much\r\nContent-Length: 8\r\n\r\ntoo much")
			w.rest()
		})
		r := build(t, plan{servers: []*origin{o}, tls: tls})
		c := r.client()
		c.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 50000000\r\n\r\n")
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.Copy(c.Conn, &zeros{left: 50_000_000})
		}()
		a, err := c.answer("POST")
		if err != nil || a.status != 413 || a.body != "too much" || !a.close {
			t.Errorf("%+v, %v", a, err)
		}
		c.Close()
		<-done
	})
}

// TestEcho is full duplex: the server sends each byte back as it comes.
func TestEcho(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		o := newOrigin(t, func(w *wire) {
			head, err := w.head()
			if err != nil {
				return
			}
			w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			if _, chunked := field(head, "Transfer-Encoding"); !chunked {
				w.Errorf("head %q", head)
			}
			if err := w.chunks(writer(func(p []byte) (int, error) {
				_, err := fmt.Fprintf(w.Conn, "%x\r\n%s\r\n", len(p), p)
				return len(p), err
			})); err != nil {
				w.Error(err)
			}
			w.send("0\r\n\r\n")
		})
		r := build(t, plan{servers: []*origin{o}, tls: tls})
		c := r.client()
		c.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
		if head, err := c.head(); err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
			t.Fatalf("%q, %v", head, err)
		}
		for i := range 200 { // question and answer
			s := fmt.Sprintf("message %d", i)
			framed := fmt.Sprintf("%x\r\n%s\r\n", len(s), s)
			c.send(framed)
			if got, err := c.take(len(framed)); got != framed {
				t.Fatalf("%q, %v", got, err)
			}
		}
		c.send("0\r\n\r\n")
		if got, err := c.take(5); got != "0\r\n\r\n" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

type writer func(p []byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

// TestAnyContentThroughAnyFraming sends random content in random pieces, framed this way and that, to a server that sends it back framed
// another way.
func TestAnyContentThroughAnyFraming(t *testing.T) {
	everywhere(t, func(t *testing.T, tls bool) {
		o := newOrigin(t, func(w *wire) {
			rnd := rand.New(rand.NewPCG(uint64(w.n), 1))
			for {
				q, err := w.request()
				if err != nil {
					return
				}
				w.send("HTTP/1.1 200 OK\r\n")
				if q.target == "/close" {
					w.send("\r\n")
					w.pieces(rnd, q.body, false)
					return
				}
				w.framed(rnd, q.body, q.target == "/chunked")
			}
		})
		r := build(t, plan{servers: []*origin{o}, tls: tls, loops: 2})
		c := r.client()
		rnd := rand.New(rand.NewPCG(7, 8))
		rounds := 150
		if raceEnabled {
			rounds = 50
		}
		for i := range rounds {
			body := make([]byte, []int{0, 1, 7, 100, 1023, 1024, 5000, 96 << 10, 200_000}[rnd.IntN(9)]+rnd.IntN(3))
			for j := range body {
				body[j] = "0123456789abcdef\r\n;"[rnd.IntN(19)]
			}
			target := []string{"/length", "/chunked", "/close"}[rnd.IntN(3)]
			c.SetDeadline(time.Now().Add(patience))
			go func() {
				c.send("POST " + target + " HTTP/1.1\r\nHost: a.test\r\n")
				c.framed(rand.New(rand.NewPCG(uint64(i), 3)), string(body), i%2 == 0)
			}()
			a, err := c.answer("POST")
			if err != nil || a.status != 200 {
				t.Fatalf("round %d: %v", i, err)
			}
			if a.body != string(body) {
				t.Fatalf("round %d: %d bytes came back as %d", i, len(body), len(a.body))
			}
		}
	})
}

// framed ends a head and sends content behind it.
func (w *wire) framed(rnd *rand.Rand, body string, chunked bool) {
	if chunked {
		w.send("Transfer-Encoding: chunked\r\n\r\n")
	} else {
		w.send(fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)))
	}
	w.pieces(rnd, body, chunked)
}

// pieces sends content in chunks of random sizes, in writes of random sizes.
func (w *wire) pieces(rnd *rand.Rand, body string, chunked bool) {
	if chunked {
		var b strings.Builder
		for len(body) > 0 {
			n := min(len(body), 1+rnd.IntN(1<<rnd.IntN(17)))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		body = b.String() + "0\r\n\r\n"
	}
	for writes := 0; len(body) > 0; writes++ {
		n := len(body)
		if writes < 100 {
			n = min(n, 1+rnd.IntN(1<<rnd.IntN(17)))
		}
		if w.send(body[:n]) != nil {
			return
		}
		body = body[n:]
	}
}

// TestManyAtOnce mixes answers of many clients on few connections: each gets its own, to the last byte.
func TestManyAtOnce(t *testing.T) {
	o := newOrigin(t, func(w *wire) {
		for {
			q, err := w.request()
			if err != nil {
				return
			}
			sum := sum(q.target, q.body)
			n := len(q.body) % 50_000
			fmt.Fprintf(w.Conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Sum: %x\r\n\r\n%s", n, sum, strings.Repeat(q.target[1:2], n))
		}
	})
	r := build(t, plan{servers: []*origin{o}, loops: 2, back: `cookie "S" {}`})
	const clients = 20
	rounds := 50
	if raceEnabled {
		rounds = 15
	}
	errs := make(chan error, clients)
	for k := range clients {
		go func() {
			errs <- func() error {
				nc, err := net.Dial("tcp", r.addr)
				if err != nil {
					return err
				}
				defer nc.Close()
				c := newWire(t, nc)
				rnd := rand.New(rand.NewPCG(uint64(k), 0))
				for i := range rounds {
					target, body := fmt.Sprintf("/%c%d", 'a'+k, i), strings.Repeat(string(rune('A'+k)), rnd.IntN(100_000))
					go c.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body))
					a, err := c.answer("POST")
					if err != nil {
						return err
					}
					if got, want := a.Get("X-Sum"), fmt.Sprintf("%x", sum(target, body)); got != want {
						return fmt.Errorf("%s: the server read something else", target)
					}
					if want := strings.Repeat(target[1:2], len(body)%50_000); a.body != want {
						return fmt.Errorf("%s: another answer", target)
					}
				}
				return nil
			}()
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func sum(parts ...string) []byte {
	var h hash.Hash = sha256.New()
	for _, p := range parts {
		io.WriteString(h, p)
	}
	return h.Sum(nil)
}
