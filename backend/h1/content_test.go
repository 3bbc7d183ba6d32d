package h1

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slurp reads content to its end, and treats the room around each piece as the scratch memory that it is promised to be.
func slurp(b Body, detach func() []byte) (string, error) {
	var got strings.Builder
	for {
		p, err := b.Next(true)
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return got.String(), err
		}
		got.Write(p.Data())
		for i := range p.Buf[:p.I] {
			p.Buf[i] = 'Z'
		}
		for i := p.J; i < len(p.Buf); i++ {
			p.Buf[i] = 'Z'
		}
		if p.Last {
			if detach != nil {
				kept := string(p.Data())
				detach()
				if string(p.Data()) != kept {
					return "", errors.New("a detached piece changed")
				}
			}
			return got.String(), nil
		}
	}
}

const nextHead = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"

// messages are requests with content: what is read, and the trailer.
var messages = []struct{ name, in, content, trailer string }{
	{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world", "hello world", ""},
	{"one chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n", "hello world", ""},
	{"chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n1\r\n \r\n05\r\nworld\r\n000\r\n\r\n", "hello world", ""},
	{"no chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", ""},
	{"trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n", "hello", "X-Sum: 1\r\n"},
	{"like the end", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\n\r\n0\r\n\r\n5\r\nworld\r\n0\r\n\r\n", "hello\r\n0\r\nworld", ""},
	{"like a chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\r\r\n7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\r\n0\r\n\r\n", ""},
}

// TestContentAtEverySplit reads each message, and one behind it, cut at every place.
func TestContentAtEverySplit(t *testing.T) {
	l := memLoop(t)
	for _, m := range messages {
		t.Run(m.name, func(t *testing.T) {
			all := m.in + nextHead
			for i := range len(all) + 1 {
				c, far := pair(t, l, ByClient)
				trickle(far, true, all[:i], all[i:])
				do(l, func() {
					defer c.Close()
					var r Request
					if err := c.ReadRequest(&r, nil); err != nil {
						t.Fatalf("split at %d: %v", i, err)
					}
					got, err := slurp(r.Body, nil)
					if got != m.content || err != nil {
						t.Errorf("split at %d: %q, %v", i, got, err)
					}
					if !c.Content().Done() || c.Content().Received != int64(len(m.content)) {
						t.Errorf("split at %d: done %v, %d bytes", i, c.Content().Done(), c.Content().Received)
					}
					trailer := ""
					if h := r.Body.Trailer(); h != nil {
						trailer = string(h.AppendTo(nil))
					}
					if trailer != m.trailer {
						t.Errorf("split at %d: trailer %q", i, trailer)
					}
					r.Body.Close()
					r = Request{}
					if err := c.ReadRequest(&r, nil); err != nil || string(r.Target) != "/next" {
						t.Errorf("split at %d: the next request: %v %q", i, err, r.Target)
					}
				})
				far.Close()
			}
		})
	}
}

// TestChunkDataIsNotTheEnd gives the first chunks in one read whose last bytes look like the end of a message, with nothing behind them. Chunks
// that are moved together leave such bytes behind.
func TestChunkDataIsNotTheEnd(t *testing.T) {
	l := memLoop(t)
	for n := range 12 {
		for m := range 12 {
			c, far := pair(t, l, ByClient)
			first, second := strings.Repeat("a", n+1), strings.Repeat("b", m)+"\r\n0\r\n"
			trickle(far, false, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n", len(first), first, len(second), second))
			do(l, func() {
				defer c.Close()
				var r Request
				if err := c.ReadRequest(&r, nil); err != nil {
					t.Fatal(err)
				}
				p, err := r.Body.Next(true)
				if err != nil || p.Last || c.Content().Done() || string(p.Data()) != first+second {
					t.Errorf("%d, %d: %q, last %v, done %v, %v", n, m, p.Data(), p.Last, c.Content().Done(), err)
				}
			})
			far.Close()
		}
	}
}

// TestLastPieceIsKnown: small messages that come at once need no second look, so that they leave in one write.
func TestLastPieceIsKnown(t *testing.T) {
	l := memLoop(t)
	for _, m := range messages[:3] {
		c, far := pair(t, l, ByClient)
		trickle(far, false, m.in)
		do(l, func() {
			defer c.Close()
			var r Request
			if err := c.ReadRequest(&r, nil); err != nil {
				t.Fatal(err)
			}
			p, err := r.Body.Next(false)
			if err != nil || string(p.Data()) != m.content || p.I < 20 {
				t.Errorf("%s: %q at %d, %v", m.name, p.Data(), p.I, err)
			}
			if m.name != "chunks" && !p.Last { // whose last chunk is not as we write it, which costs a look
				t.Errorf("%s: not the last piece", m.name)
			}
		})
		far.Close()
	}
}

// TestDetach: the connection carries the next response while the last piece of this one is still being written.
func TestDetach(t *testing.T) {
	l := memLoop(t)
	c, far := pair(t, l, ByServer)
	next := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld"
	answers := []string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}
	trickle(far, false, answers[0], next, answers[1], next)
	do(l, func() {
		defer c.Close()
		for range 2 {
			var r Response
			if err := c.ReadResponse(&r, []byte("GET")); err != nil {
				t.Fatal(err)
			}
			p, err := r.Body.Next(true)
			if err != nil || !p.Last {
				t.Fatalf("%q, last %v, %v", p.Data(), p.Last, err)
			}
			buf := c.Content().Detach()
			if buf == nil || c.Content().Detach() != nil {
				t.Error("the buffer of the piece was not handed over once")
			}
			r = Response{}
			if err := c.ReadResponse(&r, []byte("GET")); err != nil {
				t.Fatal(err)
			}
			if got, err := slurp(r.Body, nil); got != "world" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			r.Body.Close()
			if string(p.Data()) != "hello" {
				t.Errorf("the piece is %q now", p.Data())
			}
			l.PutBuf(buf)
		}
	})
}

// TestDetachFromAPushingServer: more than was asked for makes the connection useless.
func TestDetachFromAPushingServer(t *testing.T) {
	l := memLoop(t)
	for _, in := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"} {
		c, far := pair(t, l, ByServer)
		trickle(far, false, in)
		do(l, func() {
			defer c.Close()
			var r Response
			if err := c.ReadResponse(&r, []byte("GET")); err != nil {
				t.Fatal(err)
			}
			p, err := r.Body.Next(true)
			if err != nil || string(p.Data()) != "hello" {
				t.Fatal(err)
			}
			if !p.Last {
				if _, err := r.Body.Next(true); err != io.EOF {
					t.Error(err)
				}
			}
			if b := c.Content().Detach(); b != nil {
				l.PutBuf(b)
			}
			if !c.C.Closed() && c.Buffered() == 0 {
				t.Error("the connection looks clean")
			}
		})
		far.Close()
	}
}

func TestContentThatEndsEarly(t *testing.T) {
	l := memLoop(t)
	for _, x := range []struct {
		in     string
		status int
	}{
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX", 400},
	} {
		c, far := pair(t, l, ByClient)
		trickle(far, true, x.in)
		do(l, func() {
			defer c.Close()
			var r Request
			if err := c.ReadRequest(&r, nil); err != nil {
				t.Fatal(err)
			}
			got, err := slurp(r.Body, nil)
			he, ok := errors.AsType[*Error](err)
			if got != "hello" || !ok || he.Status != x.status || he.Side != ByClient || he.State != 'D' {
				t.Errorf("%q: %q, %#v", x.in, got, err)
			}
			if _, again := r.Body.Next(true); again != err || c.Content().Err() != err {
				t.Errorf("%q: the error does not last: %v", x.in, again)
			}
		})
	}
}

// TestMinimumRate is row 39 of the rules for hostile input.
func TestMinimumRate(t *testing.T) {
	const patience = time.Minute
	for _, x := range []struct {
		name   string
		size   int           // bytes per write
		pause  time.Duration // before each
		writes int
		fails  time.Duration // when; 0: never
	}{
		{"a byte per second", 1, time.Second, 100, 11 * time.Second},
		{"a byte now and then", 1, 50 * time.Second, 10, 50 * time.Second},
		{"nothing", 1, 2 * patience, 1, patience},
		{"just fast enough", 500, time.Second, 300, 0},
		{"a little too slow", 400, time.Second, 300, 51 * time.Second},
		{"slow at first", 1, 9 * time.Second, 1, 0},
		{"in great pieces", 30_000, 55 * time.Second, 20, 0},
	} {
		for _, framing := range []string{"Content-Length: 1000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nf4240\r\n"} {
			t.Run(x.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := memLoop(t)
					c, far := pair(t, l, ByClient)
					c.Patience = patience
					stop := make(chan struct{})
					gone := make(chan struct{})
					go func() {
						defer close(gone)
						far.Write([]byte("POST / HTTP/1.1\r\nHost: a\r\n" + framing))
						for range x.writes {
							select {
							case <-time.After(x.pause):
							case <-stop:
								return
							}
							if _, err := far.Write([]byte(strings.Repeat("x", x.size))); err != nil {
								return
							}
						}
						far.Close()
					}()
					do(l, func() {
						defer c.Close()
						var r Request
						if err := c.ReadRequest(&r, nil); err != nil {
							t.Fatal(err)
						}
						began := l.Now()
						got, err := slurp(r.Body, nil)
						took := time.Duration(l.Now()-began) * time.Millisecond
						he, ok := errors.AsType[*Error](err)
						switch {
						case x.fails == 0 && (!ok || he.Status != 400 || len(got) != x.size*x.writes):
							t.Errorf("%d bytes, %v", len(got), err) // 400: it ended early, as was planned
						case x.fails > 0 && (!ok || he.Status != 408 || he.Cause != 'c'):
							t.Errorf("%d bytes, %v", len(got), err)
						case x.fails > 0 && (took < x.fails-time.Second || took > x.fails+2*time.Second):
							t.Errorf("after %v, want %v", took, x.fails)
						}
					})
					close(stop)
					<-gone
				})
			})
		}
	}
}

// TestServersKeepToNoRate: a server may think in the middle of its answer.
func TestServersKeepToNoRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memLoop(t)
		c, far := pair(t, l, ByServer)
		c.Patience = time.Minute
		go func() {
			far.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"))
			for range 20 {
				time.Sleep(50 * time.Second)
				far.Write([]byte("x"))
			}
		}()
		do(l, func() {
			defer c.Close()
			var r Response
			if err := c.ReadResponse(&r, []byte("GET")); err != nil {
				t.Fatal(err)
			}
			if got, err := slurp(r.Body, nil); len(got) != 20 || err != nil {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	})
}

func TestReady(t *testing.T) {
	l := memLoop(t)
	c, far := pair(t, l, ByClient)
	trickle(far, false, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "he", "llo"+nextHead)
	do(l, func() {
		defer c.Close()
		var r Request
		if err := c.ReadRequest(&r, nil); err != nil {
			t.Fatal(err)
		}
		b := c.Content()
		if b.Ready() {
			t.Error("ready before anything came")
		}
		got := ""
		for !b.Done() {
			p, err := b.Next(true)
			if err != nil {
				t.Fatal(err)
			}
			got += string(p.Data())
			if !b.Done() && b.Ready() {
				t.Errorf("ready behind %q", got)
			}
		}
		if !b.Ready() || got != "hello" {
			t.Errorf("%q, ready %v", got, b.Ready())
		}
	})
}

func TestStatic(t *testing.T) {
	s := &Static{B: []byte("page")}
	if p, err := s.Next(true); err != nil || string(p.Data()) != "page" || !p.Last {
		t.Errorf("%q, %v", p.Data(), err)
	}
	if _, err := s.Next(true); err != io.EOF {
		t.Error(err)
	}
	if _, err := (&Static{}).Next(true); err != io.EOF {
		t.Error(err)
	}
	s.Close()
}

// wireForm frames content at random.
func wireForm(rnd *rand.Rand, body string, chunked bool, trailer string) string {
	if !chunked {
		return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	var b strings.Builder
	b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	for len(body) > 0 {
		n := min(len(body), 1+rnd.IntN(1<<rnd.IntN(15)))
		fmt.Fprintf(&b, "%s%x%s\r\n%s\r\n", strings.Repeat("0", rnd.IntN(3)), n, []string{"", "", ";a", ";b=\"c d\""}[rnd.IntN(4)], body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n" + trailer + "\r\n")
	return b.String()
}

// cut splits s at random.
func cut(rnd *rand.Rand, s string) (pieces []string) {
	for len(s) > 0 {
		n := min(len(s), 1+rnd.IntN(1<<rnd.IntN(16)))
		if len(pieces) > 200 {
			n = len(s)
		}
		pieces = append(pieces, s[:n])
		s = s[n:]
	}
	return pieces
}

// randomBody is content made of what framing is made of.
func randomBody(rnd *rand.Rand) string {
	b := make([]byte, rnd.IntN(1<<rnd.IntN(17)))
	for i := range b {
		b[i] = "0123456789abcdef\r\n\r\n;0"[rnd.IntN(22)]
	}
	return string(b)
}

// TestAnyContentThroughAnyFraming sends random content through Content and Sender: framed at random, split at random, out by either framing.
func TestAnyContentThroughAnyFraming(t *testing.T) {
	l := memLoop(t)
	rounds := 400
	if testing.Short() {
		rounds = 100
	}
	for seed := range rounds {
		rnd := rand.New(rand.NewPCG(uint64(seed), 5))
		var in strings.Builder
		var bodies []string
		var out []bool
		for range 1 + rnd.IntN(4) {
			body, chunked := randomBody(rnd), rnd.IntN(2) == 0
			bodies = append(bodies, body)
			out = append(out, chunked || rnd.IntN(2) == 0)
			in.WriteString("POST / HTTP/1.1\r\nHost: a\r\n" + wireForm(rnd, body, chunked, []string{"", "X: y\r\n"}[rnd.IntN(2)]))
		}
		a, far := pair(t, l, ByClient)
		b, sink := pair(t, l, ByServer)
		got := make(chan string, 1)
		go func() {
			s, _ := io.ReadAll(sink)
			got <- string(s)
		}()
		trickle(far, true, cut(rnd, in.String())...)
		do(l, func() {
			for i := range bodies {
				var r Request
				if err := a.ReadRequest(&r, nil); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if r.Body == nil {
					r.Body = &Static{}
				}
				head := append(l.Small(), "HEAD "...)
				s := Sender{Conn: b, Head: head, Chunked: out[i], Patience: time.Second}
				if err := s.Send(r.Body); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if s.Sent != int64(len(bodies[i])) {
					t.Errorf("seed %d: %d bytes sent of %d", seed, s.Sent, len(bodies[i]))
				}
				l.PutSmall(head)
				r.Body.Close()
			}
			b.Close()
			a.Close()
		})
		rest := <-got
		for i, body := range bodies {
			var ok bool
			if rest, ok = strings.CutPrefix(rest, "HEAD "); !ok {
				t.Fatalf("seed %d: message %d has no head: %.40q", seed, i, rest)
			}
			var content string
			if content, rest = unframe(t, rest, out[i], len(body)); content != body {
				t.Fatalf("seed %d: message %d came out otherwise", seed, i)
			}
		}
		if rest != "" {
			t.Errorf("seed %d: %q behind the last message", seed, rest)
		}
	}
}

// unframe reads content off s as a strict reader of another make would.
func unframe(t *testing.T, s string, chunked bool, n int) (content, rest string) {
	if !chunked {
		return s[:min(n, len(s))], s[min(n, len(s)):]
	}
	for {
		line, after, _ := strings.Cut(s, "\r\n")
		var size int
		if _, err := fmt.Sscanf(line, "%x", &size); err != nil || fmt.Sprintf("%x", size) != line {
			t.Fatalf("chunk line %q", line)
		}
		if size == 0 {
			after = strings.TrimPrefix(after, "X: y\r\n")
			if !strings.HasPrefix(after, "\r\n") {
				t.Fatalf("at the end %.20q", after)
			}
			return content, after[2:]
		}
		if len(after) < size+2 || after[size:size+2] != "\r\n" {
			t.Fatalf("a chunk of %d bytes is followed by something else", size)
		}
		content, s = content+after[:size], after[size+2:]
	}
}
