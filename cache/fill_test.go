package cache

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// slowly makes the origin think for d before it answers.
func (r *rig) slowly(d time.Duration, text string) {
	r.origins(func(x *h1.Exchange) error {
		x.Loop.Sleep(d)
		return reply(x, text)
	})
}

// streams makes the origin answer with a head at once and content piece by piece.
func (r *rig) streams(head string, pause time.Duration, err error, list ...string) {
	r.origins(func(x *h1.Exchange) error {
		if e := parseHead(x, head); e != nil {
			return e
		}
		p := &pieces{l: x.Loop, list: list, pause: pause, err: err}
		x.Cancel = func() { p.event.Set(x.Loop) }
		p.closed = func() { x.Cancel = nil }
		x.Resp.Body = p
		return nil
	})
}

func all(list []<-chan *answer) (out []*answer) {
	for _, c := range list {
		out = append(out, <-c)
	}
	return out
}

func TestManyAskOnce(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		r.slowly(500*time.Millisecond, fresh)
		var list []<-chan *answer
		for i := range 1000 {
			list = append(list, r.start(request{text: "GET /page", loop: i % 2}))
		}
		collapsed := 0
		for _, a := range all(list) {
			if a.err != nil || a.body != "hello" {
				t.Fatalf("%q %v", a.body, a.err)
			}
			if strings.HasSuffix(a.verdict(), "; collapsed") {
				collapsed++
			}
		}
		if n := r.asked(); n != 1 || collapsed != 999 {
			t.Errorf("asked %d times, %d collapsed", n, collapsed)
		}
	})
}

// A few who ask for what nobody has asked for before may come to the server at once, no more than a few.
func TestFewAskForThemselves(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		for _, c := range []struct {
			clients, most int
			cookie        string
			slow          time.Duration
		}{
			{6, 1, "", doubt / 2},
			{6, 6, "", time.Second},
			{100, 1, "", time.Second},
			{6, 1, "Cookie: a=b", doubt / 2},
			{6, 6, "Cookie: a=b", time.Second},
			{100, 1 + maxAlone, "Cookie: a=b", time.Second},
		} {
			r.slowly(c.slow, fresh)
			var list []<-chan *answer
			for i := range c.clients {
				list = append(list, r.start(request{text: fmt.Sprintf("GET /%d-%v-%d\n%s", c.clients, c.slow, len(c.cookie), c.cookie), loop: i % 2}))
			}
			for _, a := range all(list) {
				if a.err != nil || a.body != "hello" {
					t.Fatalf("%+v: %q %v", c, a.body, a.err)
				}
			}
			if n := r.asked(); n > c.most {
				t.Errorf("%+v: asked %d times", c, n)
			}
		}
	})
}

func TestHasCookie(t *testing.T) {
	for _, c := range []struct {
		fields, hidden string
		want           bool
	}{
		{"", "", false},
		{"", "S", false},
		{"Cookie: a=b", "", true},
		{"Cookie: a=b", "S", true},
		{"Cookie: S=A", "S", false},
		{"Cookie: S=A", "", true},
		{"Cookie:  S = A ; ", "S", false},
		{"Cookie: S", "S", false},
		{"Cookie: s=A", "S", true},
		{"Cookie: S=A; a=b", "S", true},
		{"Cookie: a=b; S=A", "S", true},
		{"Cookie: S=A\nCookie: S=B", "S", false},
		{"Cookie: S=A\nCookie: a=b", "S", true},
		{"Cookie:", "S", false},
		{"Cookie: =", "S", true},
	} {
		var h h1.Header
		for f := range strings.SplitSeq(c.fields, "\n") {
			if name, value, ok := strings.Cut(f, ":"); ok {
				h.AddString(name, value)
			}
		}
		if got := hasCookie(&h, c.hidden); got != c.want {
			t.Errorf("%q but for %q: %v", c.fields, c.hidden, got)
		}
	}
}

// Those who send no cookie but that of the balancer are nobody in particular: a crowd of them asks once.
func TestManyWithThePersistenceCookieAskOnce(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		r.cache.o.Hidden = "SERVERID"
		r.slowly(time.Second, fresh)
		for _, c := range []struct {
			cookie string
			most   int
		}{{"SERVERID=A", 1}, {"SERVERID=A; id=7", 1 + maxAlone}} {
			var list []<-chan *answer
			for i := range 100 {
				list = append(list, r.start(request{text: fmt.Sprintf("GET /%d\nCookie: %s", c.most, c.cookie), loop: i % 2}))
			}
			all(list)
			if n := r.asked(); n != c.most {
				t.Errorf("%s: asked %d times, want %d", c.cookie, n, c.most)
			}
		}
	})
}

func TestManyAskOnceForWhatIsStale(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=2\nETag: \"1\"\n\nhello")
		r.get("/page")
		sleep(3 * time.Second)
		r.slowly(time.Second, "HTTP/1.1 304 Not Modified\nCache-Control: max-age=2\nETag: \"1\"\nContent-Length: 5")
		r.asked()
		var list []<-chan *answer
		for i := range 100 {
			list = append(list, r.start(request{text: "GET /page\nCookie: a=b", loop: i % 2}))
		}
		for _, a := range all(list) {
			if a.err != nil || a.status != 200 || a.body != "hello" {
				t.Fatalf("%d %q %v", a.status, a.body, a.err)
			}
		}
		if n := r.asked(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// Six visitors with cookies ask for a page that turns out to be private: nobody waits for the others, as the first one's answer is
// no use to them.
func TestPrivateAnswersDoNotQueue(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		r.slowly(500*time.Millisecond, "HTTP/1.1 200 OK\nCache-Control: private\n\nhello")
		for round, most := range []time.Duration{650 * time.Millisecond, 560 * time.Millisecond} {
			began := time.Now()
			var list []<-chan *answer
			for i := range 6 {
				list = append(list, r.start(request{text: fmt.Sprintf("GET /page\nCookie: id=%d", i), loop: i % 2}))
			}
			for _, a := range all(list) {
				if !strings.Contains(a.verdict(), "detail=PRIVATE") {
					t.Error(a.verdict())
				}
			}
			if took := time.Since(began); took > most {
				t.Errorf("round %d took %v, want at most %v", round, took, most)
			}
			if n := r.asked(); n != 6 {
				t.Errorf("round %d: asked %d times", round, n)
			}
		}
	})
}

// Without cookies the answer is more likely for everybody. A few do not wait to find out, a crowd does; that it is not is learnt once, and
// remembered.
func TestPrivateAnswersAreRememberedAsSuch(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.slowly(500*time.Millisecond, "HTTP/1.1 200 OK\nCache-Control: no-store\n\nhello")
		at := func(n int, path string) time.Duration {
			began := time.Now()
			var list []<-chan *answer
			for range n {
				list = append(list, r.start(request{text: "GET " + path}))
			}
			all(list)
			return time.Since(began)
		}
		if took := at(6, "/page"); took > 650*time.Millisecond { // timers are good to 50 ms
			t.Errorf("the first six took %v", took)
		}
		if took := at(60, "/other"); took < 990*time.Millisecond || took > 1100*time.Millisecond {
			t.Errorf("a crowd took %v", took)
		}
		for _, path := range []string{"/page", "/other"} {
			if took := at(60, path); took > 560*time.Millisecond {
				t.Errorf("the next sixty of %s took %v", path, took)
			}
		}
		sleep(121 * time.Second)
		r.answers(fresh)
		r.get("/page")
		if a := r.get("/page"); !a.hit() {
			t.Errorf("when it is for everybody: %s", a.verdict())
		}
	})
}

func TestStorableAnswerReplacesTheMark(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.answers("HTTP/1.1 200 OK\nCache-Control: private\n\nhello")
		r.get("/page")
		r.answers(fresh)
		if a := r.get("/page"); !strings.HasSuffix(a.verdict(), "stored") {
			t.Errorf("%s", a.verdict())
		}
		if a := r.get("/page"); !a.hit() {
			t.Errorf("%s", a.verdict())
		}
	})
}

func TestJoinersReadWhatGrows(t *testing.T) {
	for _, framing := range []string{"Content-Length: 15", "Transfer-Encoding: chunked"} {
		bubble(t, 2, nil, func(r *rig) {
			r.streams("HTTP/1.1 200 OK\nCache-Control: max-age=60\n"+framing, time.Second, nil, "one, ", "two, ", "three")
			first := r.start(request{text: "GET /page"})
			time.Sleep(1500 * time.Millisecond)
			second := r.start(request{text: "GET /page", loop: 1})
			third := r.start(request{text: "GET /page\nRange: bytes=0-1", loop: 1})
			a, b := <-first, <-second
			for _, x := range []*answer{a, b} {
				if x.err != nil || x.body != "one, two, three" {
					t.Errorf("%s: %q %v", framing, x.body, x.err)
				}
			}
			if b.took > 1700*time.Millisecond {
				t.Errorf("%s: who joined waited %v", framing, b.took)
			}
			// Of content of unknown length nobody can say which part a part is.
			if c := <-third; strings.Contains(c.verdict(), "collapsed") != (framing == "Content-Length: 15") || c.status == 206 && c.body != "on" {
				t.Errorf("%s: a range was answered by %d %q: %s", framing, c.status, c.body, c.verdict())
			}
			if a := r.get("/page"); !a.hit() || a.body != "one, two, three" || a.get("Content-Length") != "15" || a.get("Transfer-Encoding") != "" {
				t.Errorf("%s: afterwards %s %q %q", framing, a.verdict(), a.body, a.head)
			}
		})
	}
}

func TestSlowClientDoesNotSlowTheOthers(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		var list []string
		for range 10 {
			list = append(list, strings.Repeat("x", 1000))
		}
		r.streams("HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Length: 10000", 10*time.Millisecond, nil, list...)
		slow := r.start(request{text: "GET /page", pause: time.Minute})
		fast := <-r.start(request{text: "GET /page", loop: 1})
		if fast.err != nil || len(fast.body) != 10000 || fast.took > time.Second {
			t.Errorf("%d bytes in %v, %v", len(fast.body), fast.took, fast.err)
		}
		if a := r.get("/page"); !a.hit() {
			t.Errorf("while the first one reads: %s", a.verdict())
		}
		if a := <-slow; a.err != nil || len(a.body) != 10000 {
			t.Errorf("%d bytes, %v", len(a.body), a.err)
		}
	})
}

func TestClientThatLeavesDoesNotSpoilTheFill(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		r.streams("HTTP/1.1 200 OK\nCache-Control: max-age=60\nTransfer-Encoding: chunked", time.Second, nil, "one, ", "two, ", "three")
		first := r.start(request{text: "GET /page", quit: 1})
		time.Sleep(500 * time.Millisecond)
		second := r.start(request{text: "GET /page", loop: 1})
		if a := <-second; a.err != nil || a.body != "one, two, three" {
			t.Errorf("%q %v", a.body, a.err)
		}
		<-first
		if a := r.get("/page"); !a.hit() || r.asked() != 1 {
			t.Error(a.verdict())
		}
	})
}

func TestEndlessAnswerIsCutWhenNobodyReads(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		var list []string
		for range 1000 {
			list = append(list, "tick ")
		}
		r.streams("HTTP/1.1 200 OK\nCache-Control: max-age=60\nTransfer-Encoding: chunked", 10*time.Second, nil, list...)
		a := r.do(request{text: "GET /page", quit: 1})
		if a.took < time.Minute || a.took > 2*time.Minute {
			t.Errorf("ended after %v", a.took)
		}
		if n := r.cache.Snapshot().Filling; n != 0 {
			t.Errorf("%d bytes are still being filled", n)
		}
	})
}

func TestTruncatedContentIsNeverStored(t *testing.T) {
	broken := &h1.Error{Status: 502, Side: h1.ByServer, Err: io.ErrUnexpectedEOF, State: 'D'}
	for _, c := range []struct {
		name, head string
		err        error
	}{
		{"chunked", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nTransfer-Encoding: chunked", broken},
		{"with a length", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Length: 100", broken},
		{"a length nobody kept to", "HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Length: 100", nil},
		{"until the end of the connection", "HTTP/1.1 200 OK\nCache-Control: max-age=60", nil},
	} {
		for _, pause := range []time.Duration{0, time.Second} {
			bubble(t, 2, nil, func(r *rig) {
				r.streams(c.head, pause, c.err, "one, ", "two")
				first := r.start(request{text: "GET /page"})
				time.Sleep(pause / 2)
				second := r.start(request{text: "GET /page", loop: 1})
				a, b := <-first, <-second
				if c.head != "HTTP/1.1 200 OK\nCache-Control: max-age=60" && (a.err == nil || b.err == nil) {
					t.Errorf("%s, %v: %v %v: the end was not reported", c.name, pause, a.err, b.err)
				}
				r.answers(fresh)
				if a := r.get("/page"); a.hit() {
					t.Errorf("%s, %v: %q was stored", c.name, pause, a.body)
				}
				if n := r.cache.Snapshot().Filling; n != 0 {
					t.Errorf("%s, %v: %d bytes are still being filled", c.name, pause, n)
				}
			})
		}
	}
}

func TestFailureReleasesThoseWhoWait(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		r.origins(func(x *h1.Exchange) error {
			x.Loop.Sleep(time.Second)
			return &h1.Error{Status: 503, Side: h1.ByServer, Err: errors.New("no server")}
		})
		var list []<-chan *answer
		for i := range 10 {
			list = append(list, r.start(request{text: "GET /page", loop: i % 2}))
		}
		for _, a := range all(list) {
			if a.err == nil || a.took > 2100*time.Millisecond {
				t.Errorf("%v after %v", a.err, a.took)
			}
		}
	})
}

// A request whose client is gone fails for reasons of its own. The next one takes over.
func TestAnotherRequestTakesOver(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		n := 0
		r.origins(func(x *h1.Exchange) error {
			if n++; n == 1 {
				x.Loop.Sleep(time.Second)
				return &h1.Error{Side: h1.ByClient, Err: errors.New("gone")}
			}
			return reply(x, fresh)
		})
		first := r.start(request{text: "GET /page"})
		time.Sleep(100 * time.Millisecond)
		var list []<-chan *answer
		for i := range 10 {
			list = append(list, r.start(request{text: "GET /page", loop: i % 2}))
		}
		if a := <-first; a.err == nil {
			t.Error("the first one got an answer")
		}
		for _, a := range all(list) {
			if a.err != nil || a.body != "hello" {
				t.Errorf("%q %v", a.body, a.err)
			}
		}
		if n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestPanicReleasesThoseWhoWait(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		for _, l := range r.loops {
			l.OnPanic = nil
		}
		var n atomic.Int32
		r.origins(func(x *h1.Exchange) error {
			if n.Add(1) == 1 {
				x.Loop.Sleep(time.Second)
				panic("a bug")
			}
			return reply(x, fresh)
		})
		r.start(request{text: "GET /page"})
		time.Sleep(100 * time.Millisecond)
		var list []<-chan *answer
		for i := range 2 * maxAlone { // a crowd, which waits
			list = append(list, r.start(request{text: "GET /page", loop: i % 2}))
		}
		for _, a := range all(list) {
			if a.err != nil || a.body != "hello" || a.took < 850*time.Millisecond || a.took > time.Second {
				t.Errorf("%q %v after %v", a.body, a.err, a.took)
			}
		}
	})
}

func TestCancelEndsTheWait(t *testing.T) {
	bubble(t, 1, nil, func(r *rig) {
		r.slowly(time.Hour, fresh)
		r.start(request{text: "GET /page"})
		time.Sleep(time.Second)
		l := r.loops[0]
		x := &h1.Exchange{Loop: l}
		x.Reset()
		done := make(chan error, 1)
		l.Post(func() {
			l.Go(loop.Func(func() { done <- r.exchange(x, request{text: "GET /page"}).err }))
		})
		time.Sleep(20 * time.Millisecond)
		began := time.Now()
		l.Post(func() { x.Cancel() })
		if err := <-done; !blames(err, h1.ByClient) || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestTooLargeContentPassesBy(t *testing.T) {
	const size = 40
	piece := strings.Repeat("0123456789abcdef", 4096) // 64 KiB
	bubble(t, 2, &Config{MaxObject: 1 << 20}, func(r *rig) {
		var list []string
		for range size {
			list = append(list, piece)
		}
		r.streams("HTTP/1.1 200 OK\nCache-Control: max-age=60\nTransfer-Encoding: chunked", time.Millisecond, nil, list...)
		first := r.start(request{text: "GET /page"})
		time.Sleep(3 * time.Millisecond)
		slow := r.start(request{text: "GET /page", loop: 1, pause: 100 * time.Millisecond})
		for _, c := range []<-chan *answer{first, slow} {
			a := <-c
			if a.err != nil || a.body != strings.Repeat(piece, size) {
				t.Errorf("%d bytes, %v", len(a.body), a.err)
			}
		}
		if a := r.start(request{text: "GET /page", quit: 1}); (<-a).hit() {
			t.Error("it was stored")
		}
		if n := r.cache.Snapshot(); n.Filling != 0 || n.Keys != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// What is not stored is not heaped up either: the fetch waits for the slowest who reads it.
func TestTooLargeContentWaitsForItsReaders(t *testing.T) {
	piece := strings.Repeat("x", chunkSize)
	bubble(t, 1, &Config{MaxObject: chunkSize}, func(r *rig) {
		p := &pieces{l: r.loops[0], pause: time.Millisecond}
		for range 100 {
			p.list = append(p.list, piece)
		}
		r.origins(func(x *h1.Exchange) error {
			x.Resp.Body = p
			return parseHead(x, "HTTP/1.1 200 OK\nCache-Control: max-age=60\nTransfer-Encoding: chunked")
		})
		slow := r.start(request{text: "GET /page", pause: time.Second})
		sleep(20500 * time.Millisecond) // it has taken 20 pieces
		r.onLoop(func(*loop.Loop) {
			if ahead := p.next - 20; ahead > window/chunkSize+2 {
				t.Errorf("%d pieces ahead", ahead)
			}
		})
		if a := <-slow; a.err != nil || len(a.body) != 100*chunkSize {
			t.Errorf("%d bytes, %v", len(a.body), a.err)
		}
	})
}

func TestVariantsDoNotMix(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		r.origins(func(x *h1.Exchange) error {
			x.Loop.Sleep(time.Second)
			coding := "identity"
			if x.Req.Header.HasToken(h1.AcceptEncoding, "br") {
				coding = "br"
			} else if x.Req.Header.HasToken(h1.AcceptEncoding, "gzip") {
				coding = "gzip"
			}
			return reply(x, "HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: Accept-Encoding\nContent-Encoding: "+coding+"\n\n"+coding)
		})
		for round, wants := range []int{4, 0} {
			var list []<-chan *answer
			var want []string
			for i := range 30 {
				coding := []string{"br", "gzip", "identity"}[i%3]
				list = append(list, r.start(request{text: "GET /page\nAccept-Encoding: " + coding, loop: i % 2}))
				want = append(want, coding)
			}
			for i, a := range all(list) {
				if a.err != nil || a.body != want[i] {
					t.Errorf("%s got %q, %v", want[i], a.body, a.err)
				}
			}
			if n := r.asked(); n > wants {
				t.Errorf("round %d: asked %d times, want at most %d", round, n, wants)
			}
		}
	})
}

func TestForgottenWhileItIsFetched(t *testing.T) {
	for _, c := range []struct {
		name   string
		forget func(r *rig)
	}{
		{"by POST", func(r *rig) { r.do(request{text: "POST /page"}) }},
		{"by URL", func(r *rig) { r.cache.PurgeURL("http://shop.example.com/page") }},
		{"by prefix", func(r *rig) { r.cache.PurgePrefix("http://shop.example.com/") }},
		{"by tag", func(r *rig) { r.cache.PurgeTag("x") }},
		{"all", func(r *rig) { r.cache.PurgeAll() }},
	} {
		bubble(t, 2, nil, func(r *rig) {
			r.streams("HTTP/1.1 200 OK\nCache-Control: max-age=60\nTransfer-Encoding: chunked", time.Second, nil, "old, ", "old")
			first := r.start(request{text: "GET /page"})
			time.Sleep(1500 * time.Millisecond)
			r.answers("HTTP/1.1 200 OK\n\n")
			c.forget(r)
			if a := <-first; a.err != nil || a.body != "old, old" {
				t.Errorf("%s: who was reading got %q, %v", c.name, a.body, a.err)
			}
			r.answers(fresh)
			if a := r.get("/page"); a.body != "hello" {
				t.Errorf("%s: %q was stored", c.name, a.body)
			}
		})
	}
}
