package cache

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/h1"
)

// film is an origin of one large thing that sends the parts it is asked for, and says that what a client has is still good.
type film struct {
	mu      sync.Mutex
	version int
	size    int
	head    string        // more lines
	pause   time.Duration // before each piece of 10,000 bytes of the whole
	broken  bool          // the whole breaks off
	asked   []string      // "whole" or the Range, and what there was of cookies and conditions
}

func (f *film) tag() string { return fmt.Sprintf(`"v%d"`, f.version) }

func (f *film) content() string { return filmContent(f.version, f.size) }

// films are the contents that were made.
var films sync.Map

// filmContent is content that tells its version and its place everywhere.
func filmContent(version, size int) string {
	if s, ok := films.Load([2]int{version, size}); ok {
		return s.(string)
	}
	s := makeFilm(version, size)
	films.Store([2]int{version, size}, s)
	return s
}

func makeFilm(version, size int) string {
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "%d.%d ", version, b.Len())
	}
	return b.String()[:size]
}

func (f *film) answer(x *h1.Exchange) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &x.Req.Header
	what := "whole"
	if h.Has(h1.Range) {
		what = string(h.Get(h1.Range))
	}
	for _, id := range [...]h1.Name{h1.IfNoneMatch, h1.Cookie, h1.Authorization} {
		if h.Has(id) {
			what += " " + string(h.Get(id))
		}
	}
	f.asked = append(f.asked, what)
	head := "Cache-Control: max-age=60\nETag: " + f.tag() + "\n" + f.head
	if listed(h, []byte(f.tag())) {
		return reply(x, strings.TrimSuffix("HTTP/1.1 304 Not Modified\n"+head, "\n"))
	}
	all := f.content()
	var room [2]span
	list, ok := parseRanges(room[:0], h.Get(h1.Range), int64(f.size))
	if h.Has(h1.IfRange) && string(h.Get(h1.IfRange)) != f.tag() {
		ok = false
	}
	if ok && len(list) == 1 {
		s := list[0]
		return reply(x, fmt.Sprintf("HTTP/1.1 206 Partial Content\n%sContent-Range: bytes %d-%d/%d\n\n%s", head, s.from, s.to-1, f.size, all[s.from:s.to]))
	}
	if err := parseHead(x, fmt.Sprintf("HTTP/1.1 200 OK\n%sContent-Length: %d", head, f.size)); err != nil {
		return err
	}
	p := &pieces{l: x.Loop, pause: f.pause}
	for len(all) > 10_000 {
		p.list, all = append(p.list, all[:10_000]), all[10_000:]
	}
	p.list = append(p.list, all)
	if f.broken {
		p.list = p.list[:len(p.list)/2]
		p.err = &h1.Error{Status: 502, Side: h1.ByServer, State: 'D'}
	}
	x.Resp.Body = p
	return nil
}

// log returns what the film was asked for since the last call.
func (f *film) log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.asked, ", ")
	f.asked = nil
	return s
}

func (f *film) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// part checks that an answer is that part of a version.
func part(t *testing.T, a *answer, version, size, from, to int) {
	t.Helper()
	want := filmContent(version, size)[from:to]
	if a.status != 206 || a.body != want || a.get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", from, to-1, size) || a.get("Content-Length") != strconv.Itoa(to-from) {
		t.Errorf("bytes %d to %d of version %d: %d, %d bytes\n%s", from, to, version, a.status, len(a.body), a.head)
	}
}

// Who asks for a part of something unknown gets it from the server at once, and the next part comes from the store: of the whole, which is fetched
// once, for nobody in particular.
func TestPartBringsTheWhole(t *testing.T) {
	for _, size := range []int{50_000, chunkSize, 300_000} {
		bubble(t, 2, nil, func(r *rig) {
			f := &film{version: 1, size: size, pause: 100 * time.Millisecond}
			r.origins(f.answer)
			a := r.get("/film\nRange: bytes=40000-40009\nCookie: a=b\nReferer: /x\nIf-Range: \"v1\"")
			part(t, a, 1, size, 40000, 40010)
			if a.took > 0 || a.verdict() != "fwd=uri-miss; fwd-status=206; detail=RANGE" {
				t.Errorf("%s after %v", a.verdict(), a.took)
			}
			a = r.get("/film\nRange: bytes=-9") // which is not there yet
			part(t, a, 1, size, size-9, size)
			if a.took > 0 || a.hit() {
				t.Errorf("%s after %v", a.verdict(), a.took)
			}
			sleep(5 * time.Second)
			if got, want := f.log(), "bytes=40000-40009 a=b, whole, bytes=-9"; got != want {
				t.Errorf("the server was asked for %s, want %s", got, want)
			}
			a = r.get("/film\nRange: bytes=-9")
			part(t, a, 1, size, size-9, size)
			if !a.hit() {
				t.Errorf("%s", a.verdict())
			}
			if a = r.get("/film"); !a.hit() || a.body != filmContent(1, size) || f.log() != "" {
				t.Errorf("%s", a.verdict())
			}
			if n := r.cache.Snapshot().Filling; n != 0 {
				t.Errorf("%d bytes are still being filled", n)
			}
		})
	}
}

// What may not be stored, or not for this client, is not fetched as a whole, and neither is what would not fit.
func TestPartThatBringsNothing(t *testing.T) {
	for _, c := range []struct {
		name, head, ask string
		size            int
		own             bool
	}{
		{name: "private", head: "Cache-Control: private\n"},
		{name: "not to be stored", head: "Cache-Control: no-store\n"},
		{name: "with a cookie", head: "Set-Cookie: a=b\n"},
		{name: "with a persistence cookie", own: true},
		{name: "selected by a cookie", head: "Vary: Cookie\n", ask: "\nCookie: a=b"},
		{name: "for somebody with credentials", head: "Cache-Control: public\n", ask: "\nAuthorization: x"},
		{name: "not to be stored for the client's part", ask: "\nCache-Control: no-store"},
		{name: "too large", size: 2_000_000},
	} {
		bubble(t, 1, &Config{MaxObject: 1 << 20}, func(r *rig) {
			f := &film{version: 1, size: max(c.size, 50_000), head: c.head}
			r.origins(func(x *h1.Exchange) error {
				if c.own {
					x.Own.AddString("Set-Cookie", "SERVERID=A")
				}
				return f.answer(x)
			})
			part(t, r.get("/film\nRange: bytes=7-9"+c.ask), 1, f.size, 7, 10)
			sleep(time.Second)
			if got := f.log(); !strings.HasPrefix(got, "bytes=7-9") || strings.Contains(got, "whole") {
				t.Errorf("%s: the server was asked for %s", c.name, got)
			}
			if n := r.cache.Snapshot().Keys; n != 0 {
				t.Errorf("%s: %d keys", c.name, n)
			}
		})
	}
}

// Once is enough: what cannot be fetched as a whole, or turns out to be for one client then, is not tried again with each part.
func TestWholeThatCannotBeHadIsLeftAlone(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(f *film)
	}{
		{"breaks off", func(f *film) { f.broken = true }},
		{"does not end", func(f *film) { f.pause = time.Hour }},
	} {
		bubble(t, 1, nil, func(r *rig) {
			f := &film{version: 1, size: 100_000}
			c.set(f)
			r.origins(f.answer)
			for i := range 5 {
				part(t, r.get(fmt.Sprintf("/film\nRange: bytes=%d-%d", 60_000+i, 90_000+i)), 1, f.size, 60_000+i, 90_001+i)
				sleep(20 * time.Second)
			}
			if n := strings.Count(f.log(), "whole"); n != 1 {
				t.Errorf("%s: it was asked for %d times", c.name, n)
			}
			sleep(3 * time.Hour)
			f.set(func() { f.broken, f.pause = false, 0 })
			part(t, r.get("/film\nRange: bytes=0-1"), 1, f.size, 0, 2)
			sleep(time.Second)
			a := r.get("/film\nRange: bytes=1-2")
			if part(t, a, 1, f.size, 1, 3); !a.hit() {
				t.Errorf("%s: then %s", c.name, a.verdict())
			}
		})
	}
	bubble(t, 1, nil, func(r *rig) {
		f := &film{version: 1, size: 100_000}
		r.origins(func(x *h1.Exchange) error {
			if !x.Req.Header.Has(h1.Range) {
				f.log()
				f.set(func() { f.asked = append(f.asked, "whole") })
				return reply(x, "HTTP/1.1 200 OK\nCache-Control: private\n\nhello")
			}
			return f.answer(x)
		})
		for range 5 {
			r.get("/film\nRange: bytes=0-1")
			sleep(time.Second)
		}
		if n := strings.Count(f.log(), "whole"); n != 1 {
			t.Errorf("private: it was asked for %d times", n)
		}
	})
}

// A part of what is not fresh any more is asked for in one question: it is still good, and the part comes from the store, or it is not. Where nobody
// answers, the part may be of what there is.
func TestPartOfWhatIsStale(t *testing.T) {
	stale := func(r *rig, f *film) {
		r.origins(f.answer)
		r.get("/film")
		f.log()
		sleep(100 * time.Second)
	}
	bubble(t, 1, nil, func(r *rig) { // it is still good
		f := &film{version: 1, size: 50_000}
		stale(r, f)
		a := r.get("/film\nRange: bytes=5-8")
		part(t, a, 1, f.size, 5, 9)
		if got := f.log(); got != `bytes=5-8 "v1"` || a.verdict() != "fwd=stale; fwd-status=304" {
			t.Errorf("asked for %s, %s", got, a.verdict())
		}
		if a = r.get("/film\nRange: bytes=6-8"); !a.hit() {
			t.Errorf("then %s", a.verdict())
		}
	})
	bubble(t, 1, nil, func(r *rig) { // it is not
		f := &film{version: 1, size: 50_000}
		stale(r, f)
		f.set(func() { f.version = 2 })
		part(t, r.get("/film\nRange: bytes=5-8"), 2, f.size, 5, 9)
		synctest.Wait()
		if got := f.log(); got != `bytes=5-8 "v1", whole "v1"` {
			t.Errorf("asked for %s", got)
		}
		a := r.get("/film\nRange: bytes=6-8")
		if part(t, a, 2, f.size, 6, 9); !a.hit() {
			t.Errorf("then %s", a.verdict())
		}
	})
	bubble(t, 1, nil, func(r *rig) { // it is another one, of which the client has a part
		f := &film{version: 1, size: 50_000}
		stale(r, f)
		f.set(func() { f.version = 2 })
		if a := r.get("/film\nRange: bytes=5-8\nIf-Range: \"v1\""); a.status != 200 || a.body != filmContent(2, f.size) {
			t.Errorf("%d, %d bytes", a.status, len(a.body))
		}
		if a := r.get("/film\nRange: bytes=5-8\nIf-Range: \"v1\""); a.status != 200 || a.body != filmContent(2, f.size) || !a.hit() {
			t.Errorf("%d, %d bytes, %s", a.status, len(a.body), a.verdict())
		}
	})
	bubble(t, 1, nil, func(r *rig) { // nobody knows
		f := &film{version: 1, size: 50_000}
		stale(r, f)
		r.origins(func(*h1.Exchange) error { return &h1.Error{Status: 503, Side: h1.ByServer} })
		a := r.get("/film\nRange: bytes=5-8")
		if part(t, a, 1, f.size, 5, 9); !strings.HasPrefix(a.verdict(), "hit; ttl=-") {
			t.Errorf("%s", a.verdict())
		}
	})
	bubble(t, 1, nil, func(r *rig) { // it has become private
		f := &film{version: 1, size: 50_000}
		stale(r, f)
		f.set(func() { f.version, f.head = 2, "Cache-Control: private\n" })
		part(t, r.get("/film\nRange: bytes=5-8"), 2, f.size, 5, 9)
		if n := r.cache.Snapshot().Keys; n != 0 {
			t.Errorf("%d keys", n)
		}
	})
}

// A part whose first byte is here is read from what grows; one that is still to come is asked for.
func TestPartsOfWhatGrows(t *testing.T) {
	bubble(t, 2, nil, func(r *rig) {
		f := &film{version: 1, size: 200_000, pause: 100 * time.Millisecond}
		r.origins(f.answer)
		var all sync.WaitGroup
		first := r.start(request{text: "GET /film"})
		time.Sleep(1550 * time.Millisecond) // 100,000 bytes are here, and no more than 150,000
		for _, c := range []struct {
			spec, more string
			from, to   int
			joins      bool
		}{
			{"0-", "", 0, 200_000, true},
			{"0-0", "", 0, 1, true},
			{"65530-65540", "", 65530, 65541, true},
			{"99999-180000", "", 99999, 180_001, true},
			{"70000-199999", "\nIf-Range: \"v1\"", 70000, 200_000, true},
			{"150001-", "", 150_001, 200_000, false},
			{"0-5", "\nIf-Range: \"v2\"", 0, 0, false},
			{"-5", "", 199_995, 200_000, false},
		} {
			for l := range 2 {
				got := r.start(request{text: "GET /film\nRange: bytes=" + c.spec + c.more, loop: l})
				all.Go(func() {
					a := <-got
					switch {
					case c.to == 0: // what the client has a part of is something else
						if a.status != 200 || a.body != f.content() {
							t.Errorf("%s: %d, %d bytes", c.spec, a.status, len(a.body))
						}
						return
					case (c.to <= 100_000 || !c.joins) && a.took > 0:
						t.Errorf("%s: the part took %v", c.spec, a.took)
					case strings.Contains(a.verdict(), "collapsed") != c.joins:
						t.Errorf("%s: %s", c.spec, a.verdict())
					}
					part(t, a, 1, f.size, c.from, c.to)
				})
			}
		}
		if a := <-first; a.body != f.content() {
			t.Errorf("%d bytes", len(a.body))
		}
		all.Wait()
		if n := strings.Count(f.log(), "bytes="); n != 6 {
			t.Errorf("the server was asked for %d parts", n)
		}
	})
}

// TestPartsAreOfOneVersion: whatever clients ask for while the origin changes, each answer is what one version has there, and it names that.
func TestPartsAreOfOneVersion(t *testing.T) {
	const size = 150_000
	var refreshes, hits, collapsed uint64
	for seed := range uint64(3) {
		bubble(t, 2, &Config{Memory: 16 << 20}, func(r *rig) {
			random := rand.New(rand.NewPCG(seed, 7))
			f := &film{size: size, head: "Cache-Control: stale-while-revalidate=5\n"}
			r.origins(f.answer)
			var all sync.WaitGroup
			for step := range 600 {
				if step%10 == 0 {
					f.set(func() {
						f.version = step / 10
						f.pause = time.Duration(random.IntN(3)) * 20 * time.Millisecond
						f.broken = random.IntN(4) == 0
						f.head = []string{"", "Cache-Control: no-cache\n", "Cache-Control: stale-while-revalidate=5\n", "Cache-Control: private\n"}[random.IntN(4)]
					})
				}
				from := random.IntN(size)
				to := from + random.IntN(size-from)
				text := "GET /film"
				switch random.IntN(6) {
				case 0:
				case 1:
					text += fmt.Sprintf("\nRange: bytes=%d-%d\nIf-Range: \"v%d\"", from, to, step/10-random.IntN(2))
				case 2:
					text += fmt.Sprintf("\nRange: bytes=%d-%d\nIf-None-Match: \"v%d\"", from, to, step/10-random.IntN(2))
				case 3:
					text += "\nRange: bytes=0-"
				default:
					text += fmt.Sprintf("\nRange: bytes=%d-%d", from, to)
				}
				q := request{text: text, loop: random.IntN(2), pause: time.Duration(random.IntN(3)) * 10 * time.Millisecond}
				if random.IntN(8) == 0 {
					q.quit = 1 + random.IntN(20_000)
				}
				for range 1 + random.IntN(4)/3 { // now and then two at once
					got := r.start(q)
					all.Go(func() {
						a := <-got
						var v, first, last, whole int
						fmt.Sscanf(a.get("ETag"), `"v%d"`, &v)
						want := filmContent(v, size)
						switch a.status {
						case 206:
							fmt.Sscanf(a.get("Content-Range"), "bytes %d-%d/%d", &first, &last, &whole)
							want = want[first : last+1]
						case 304:
							want = ""
						}
						if !strings.HasPrefix(want, a.body) || a.err == nil && q.quit == 0 && a.body != want {
							t.Errorf("%q: %d %s, %d bytes, %v\n%s", text, a.status, a.verdict(), len(a.body), a.err, a.head)
						}
					})
				}
				time.Sleep(max(0, time.Duration(random.IntN(12)-6)) * 3 * time.Second)
			}
			all.Wait()
			sleep(2 * time.Minute)
			if n := r.cache.Snapshot().Filling; n != 0 {
				t.Errorf("%d bytes are still being filled", n)
			}
			s := r.cache.Stats
			refreshes, hits, collapsed = refreshes+s.Refreshes.Load(), hits+s.Hits.Load(), collapsed+s.Collapsed.Load()
		})
	}
	if refreshes < 15 || hits < 150 || collapsed < 10 {
		t.Errorf("hardly anything happened: %d in the background, %d hits, %d together", refreshes, hits, collapsed)
	}
}
