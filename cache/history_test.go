package cache

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/backend/h1"
)

// world is an origin that mixes answers for everybody with answers for one user, and a judge of what came out at the other end. The judge knows
// nothing of how the cache thinks: only what the origin put into each answer, and when.
type world struct {
	mu       sync.Mutex
	random   *rand.Rand
	versions map[string]version // of what everybody may have
	count    int
}

// version is one answer that everybody may have.
type version struct {
	made  time.Time
	until time.Duration // how long it may be used, stale or not
	url   string
}

// secrets are the ways in which an origin can say that an answer is for one user. "%s" is the user's token.
var secrets = []string{
	"200 OK\nCache-Control: private",
	"200 OK\nCache-Control: public, max-age=60, private",
	"200 OK\nCache-Control: max-age=60\nCache-Control: private, x=1",
	"200 OK\nCache-Control: No-Store",
	"200 OK\nCache-Control: max-age=60, x=\"",
	"200 OK\nCache-Control: max-age=60\nSet-Cookie: token=%s",
	"200 OK\nCache-Control: public, s-maxage=60\nSet-Cookie: token=%s; path=/",
	"302 Found\nCache-Control: max-age=60\nSet-Cookie: token=%s\nLocation: /",
	"200 OK\nCache-Control: max-age=60\nVary: Cookie",
	"200 OK\nCache-Control: max-age=60, stale-while-revalidate=60\nVary: Accept, Cookie",
	"200 OK\nCache-Control: max-age=60\nVary: *",
	"200 OK\nETag: \"%s\"",
	"200 OK\nLast-Modified: Thu, 30 Dec 1999 00:00:00 GMT",
	"200 OK",
	"403 Forbidden\nCache-Control: max-age=60",
	"501 Oh\nCache-Control: max-age=60",
	"200 OK\nCache-Control: max-age=60\nCDN-Cache-Control: private",
	"200 OK\nCDN-Cache-Control: no-store",
	"200 OK\nCache-Control: max-age=60\nVary: Authorization, Cookie",
	"200 OK\nCache-Control: s-maxage=60, private=\"\"",
	"200 OK\nCache-Control: no-store, must-understand, private, max-age=60",
	"206 Partial Content\nCache-Control: max-age=60\nContent-Range: bytes 0-3/9",
	"401 Who\nCache-Control: public, max-age=60\nWWW-Authenticate: Basic realm=\"%s\"",
}

// stills are the ways to say that what everybody may have is still good, and to tell one user something besides.
var stills = []string{
	"Set-Cookie: token=%s",
	"Cache-Control: max-age=5, private=\"X-User\"\nX-User: token=%s",
	"Cache-Control: max-age=5, no-cache=\"x-a, x-user, set-cookie\"\nX-User: token=%s\nSet-Cookie: token=%s",
	"Cache-Control: private\nX-User: token=%s",
	"Cache-Control: max-age=5\nCDN-Cache-Control: no-store\nX-User: token=%s",
}

// shared are the ways to say that an answer is for everybody, and for how many seconds it may be used.
var shared = []struct {
	head  string
	until int
}{
	{"200 OK\nCache-Control: max-age=5", 5},
	{"200 OK\nCache-Control: public, s-maxage=5, max-age=60", 5},
	{"200 OK\nCache-Control: max-age=2, stale-while-revalidate=4", 6},
	{"200 OK\nCache-Control: max-age=5, no-cache=\"Set-Cookie\"\nSet-Cookie: token=%s", 5},
	{"200 OK\nCache-Control: max-age=5, private=\"X-User\"\nX-User: token=%s", 5},
	{"301 Moved\nCache-Control: max-age=5\nLocation: /", 5},
	{"404 Not Found\nCache-Control: max-age=3", 3},
	{"200 OK\nCache-Control: no-store\nCDN-Cache-Control: max-age=4", 4},
}

func (w *world) answer(x *h1.Exchange) error {
	user := userOf(x)
	w.mu.Lock()
	w.count++
	id := fmt.Sprintf("v%d", w.count)
	pick, delay := w.random.IntN(100), time.Duration(w.random.IntN(5))*100*time.Millisecond
	secret := secrets[w.random.IntN(len(secrets))]
	open := shared[w.random.IntN(len(shared))]
	chunked := w.random.IntN(2) == 0
	still := stills[w.random.IntN(len(stills))]
	w.mu.Unlock()
	tag := string(x.Req.Header.Get(h1.IfNoneMatch))
	x.Loop.Sleep(delay)
	if pick < 40 && user != "" {
		x.Own.AddString("Set-Cookie", "SERVERID=token="+user) // what the balancer does
	}
	if pick%2 == 0 && user != "" {
		if pick < 20 && w.renew(strings.Trim(tag, `"`)) {
			return reply(x, "HTTP/1.1 304 Not Modified\nETag: "+tag+"\n"+strings.ReplaceAll(still, "%s", user))
		}
		return reply(x, "HTTP/1.1 "+strings.ReplaceAll(secret, "%s", user)+"\n\ntoken="+user+" "+id)
	}
	head := strings.ReplaceAll(open.head, "%s", user)
	head += "\nETag: \"" + id + "\""
	if chunked {
		head += "\nTransfer-Encoding: chunked"
	}
	w.mu.Lock()
	w.versions[id] = version{time.Now(), time.Duration(open.until) * time.Second, string(x.Req.Target)}
	w.mu.Unlock()
	if !chunked {
		return reply(x, "HTTP/1.1 "+head+"\n\nfor all "+id)
	}
	if err := parseHead(x, "HTTP/1.1 "+head); err != nil {
		return err
	}
	x.Resp.Body = &pieces{l: x.Loop, list: []string{"for ", "all ", id}, pause: delay / 10}
	return nil
}

// renew notes that a version is good from now on, and reports whether there is such a one.
func (w *world) renew(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.versions[id]
	if ok {
		v.made, v.until = time.Now(), max(v.until, 5*time.Second) // which a 304 may say
		w.versions[id] = v
	}
	return ok
}

func userOf(x *h1.Exchange) string {
	if v := x.Req.Header.Get(h1.Cookie); v != nil {
		return strings.TrimPrefix(string(v), "user=")
	}
	return strings.TrimPrefix(string(x.Req.Header.Get(h1.Authorization)), "Bearer ")
}

// judge says what is wrong with an answer that a user got.
func (w *world) judge(user, url string, asked time.Time, a *answer) string {
	text := a.head + a.own + a.body
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "token=")
		if !ok {
			break
		}
		owner := after
		if i := strings.IndexAny(after, " ;\r\n"); i >= 0 {
			owner = after[:i]
		}
		if owner != user && owner != "" {
			return fmt.Sprintf("user %q was sent what is user %q's", user, owner)
		}
		rest = after
	}
	if _, id, ok := strings.Cut(a.body, "for all "); ok {
		w.mu.Lock()
		v, known := w.versions[id]
		w.mu.Unlock()
		switch {
		case !known:
			return fmt.Sprintf("version %q was never made", id)
		case v.url != url:
			return fmt.Sprintf("%s was answered with %s", url, v.url)
		case asked.Sub(v.made) > v.until+1500*time.Millisecond: // the coarse clock, and whole seconds
			return fmt.Sprintf("version %s is %v old, and was good for %v", id, asked.Sub(v.made), v.until)
		}
	} else if a.status != 304 && a.status != 206 && !strings.HasPrefix(a.body, "token=") && a.status < 400 && a.body != "" {
		return fmt.Sprintf("half an answer: %q", a.body)
	}
	return ""
}

// TestNobodyGetsSomebodyElsesAnswer: whatever the order of requests, no user is ever sent what an origin made for another one. GATEHOUSE_TEST_HISTORIES
// is how many requests there are, 100,000 unless said.
func TestNobodyGetsSomebodyElsesAnswer(t *testing.T) {
	steps := 100_000
	if s := os.Getenv("GATEHOUSE_TEST_HISTORIES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1000 {
			t.Fatalf("GATEHOUSE_TEST_HISTORIES=%s", s)
		}
		steps = n
	}
	if testing.Short() || raceEnabled {
		steps /= 10
	}
	steps /= 2 // of each kind
	for kind := range 4 {
		newcomers, disk := kind%2 == 1, kind >= 2
		seed := rand.Uint64()
		hits := 0
		var tier *Disk
		if disk {
			tier = &Disk{Path: t.TempDir(), Size: 1 << 20}
		}
		bubble(t, 2, &Config{FillFromNewcomers: newcomers, Disk: tier, Rules: []*Rule{{Paths: []string{"/ttl/*"}, Errors: false}}}, func(r *rig) {
			w := &world{random: rand.New(rand.NewPCG(seed, 1)), versions: map[string]version{}}
			r.origins(w.answer)
			var clients sync.WaitGroup
			for n := range 8 {
				clients.Go(func() {
					random := rand.New(rand.NewPCG(seed, uint64(n)+2))
					for range steps / 8 {
						user := fmt.Sprintf("u%d", random.IntN(5))
						text := fmt.Sprintf("/p%d", random.IntN(4))
						url := text
						switch random.IntN(6) {
						case 0:
							text += "\nAuthorization: Bearer " + user
						case 1:
							text += "\nAuthorization: Bearer " + user + "\nCookie: user=" + user
						case 2:
							user = ""
						default:
							text += "\nCookie: user=" + user
						}
						method := "GET "
						switch random.IntN(20) {
						case 0:
							method = "POST "
						case 1:
							method = "HEAD "
						case 2:
							text += "\nRange: bytes=0-3"
						case 3:
							text += "\nIf-None-Match: \"x\""
						case 4:
							text += "\nCache-Control: no-store"
						case 5:
							text += "\nRange: bytes=0-\nIf-Range: \"v1\""
						}
						if random.IntN(200) == 0 {
							r.cache.PurgePrefix("http://shop.example.com/p1")
						}
						if disk && random.IntN(10) == 0 {
							r.cache.store.data.InvalidateAll() // as if others had pushed it all out
						}
						q := request{text: method + text, loop: random.IntN(2)}
						if random.IntN(10) == 0 {
							q.quit = 1
						}
						asked := time.Now()
						a := <-r.start(q)
						if a.err != nil {
							t.Errorf("seed %d: %s: %v", seed, q.text, a.err)
						} else if bad := w.judge(user, url, asked, a); bad != "" && q.quit == 0 {
							t.Errorf("seed %d: %q: %s\n%s\n%s", seed, q.text, bad, a.head, a.body)
						}
						if a.hit() {
							w.mu.Lock()
							hits++
							w.mu.Unlock()
						}
						time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
					}
				})
			}
			clients.Wait()
			sleep(2 * time.Minute)
			if n := r.cache.Stats.DiskHits.Load(); disk && n < uint64(steps/200) {
				t.Errorf("seed %d: only %d hits from disk in %d steps", seed, n, steps)
			}
			if n := r.cache.Snapshot().Filling; n != 0 {
				t.Errorf("seed %d: %d bytes are still being filled", seed, n)
			}
			for i := range r.cache.store.shards {
				if n := len(r.cache.store.shards[i].fills); n != 0 {
					t.Errorf("seed %d: %d fills are left", seed, n)
				}
			}
		})
		if hits < steps/50 {
			t.Errorf("seed %d: only %d hits in %d steps: nothing was tested", seed, hits, steps)
		}
	}
}
