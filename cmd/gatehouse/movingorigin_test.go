package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// movingOrigin is a server behind the old programs and behind gatehouse. It notes what it was asked.
type movingOrigin struct {
	testing.TB
	name, addr string
	site       *movingSite
	srv        *http.Server // nil: down
}

// movingSite is the servers of a site, and what they were asked since somebody looked.
type movingSite struct {
	servers []*movingOrigin

	mu    sync.Mutex // guards what follows
	asked []string
	by    string // who was asked last
	count map[string]int
}

// movingModified is when all pages were made.
var movingModified = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func newMovingSite(t testing.TB, host string, names ...string) *movingSite {
	t.Helper()
	s := &movingSite{count: map[string]int{}}
	for _, name := range names {
		o := &movingOrigin{TB: t, name: name, site: s, addr: net.JoinHostPort(host, "0")}
		o.turn(true)
		s.servers = append(s.servers, o)
		t.Cleanup(func() { o.turn(false) })
	}
	return s
}

// turn switches the server on, at the address it had before, or off: then its connections break.
func (o *movingOrigin) turn(on bool) {
	o.Helper()
	switch {
	case on == (o.srv != nil):
	case on:
		ln, err := net.Listen("tcp", o.addr)
		if err != nil {
			o.Fatal(err)
		}
		o.addr = ln.Addr().String()
		o.srv = &http.Server{Handler: o, ReadHeaderTimeout: 10 * time.Second}
		go o.srv.Serve(ln)
	default:
		o.srv.Close()
		o.srv = nil
	}
}

// ServeHTTP notes the request and answers by its path.
func (o *movingOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/index.html" { // the health check
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = fmt.Appendf(nil, "(%v)", err)
	}
	o.note(r, body)
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Server", "origin")
	h["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/file"):
		h.Set("ETag", `"v1"`)
		if strings.HasPrefix(path, "/file2") { // else gatehouse's cache fetches the whole, too, at a time of its own
			h.Set("Cache-Control", "no-store")
		}
		http.ServeContent(w, r, "", movingModified, strings.NewReader("0123456789"))
	case strings.HasPrefix(path, "/cached"):
		h.Set("Cache-Control", "max-age=60")
		o.say(w, r)
	case strings.HasPrefix(path, "/private"):
		h.Set("Cache-Control", "private, max-age=60")
		o.say(w, r)
	case strings.HasPrefix(path, "/login"):
		h.Set("Cache-Control", "max-age=60")
		h.Add("Set-Cookie", "session=secret; path=/")
		h.Add("Set-Cookie", "theme=dark")
		o.say(w, r)
	case strings.HasPrefix(path, "/moved"):
		h.Set("Cache-Control", "max-age=60")
		h.Set("Location", "/page")
		w.WriteHeader(302)
	case strings.HasPrefix(path, "/empty"):
		w.WriteHeader(204)
	case strings.HasPrefix(path, "/missing"):
		w.WriteHeader(404)
		o.say(w, r)
	case strings.HasPrefix(path, "/broken"):
		w.WriteHeader(500)
		o.say(w, r)
	case strings.HasPrefix(path, "/stream"): // without a length
		for i := range 3 {
			fmt.Fprintf(w, "part %d\n", i)
			w.(http.Flusher).Flush()
		}
	default:
		o.say(w, r)
	}
}

// say writes how often the path was asked for, so that one answer can be told from another.
func (o *movingOrigin) say(w http.ResponseWriter, r *http.Request) {
	o.site.mu.Lock()
	o.site.count[r.URL.Path]++
	n := o.site.count[r.URL.Path]
	o.site.mu.Unlock()
	if r.URL.Path == "/large" {
		w.Write([]byte(strings.Repeat("0123456789abcdef", 1<<16)))
		return
	}
	if h := w.Header().Get("Cache-Control"); h == "" {
		n = 0 // it makes no difference
	}
	fmt.Fprintf(w, "answer %d to %s\n", n, r.URL.Path)
}

// note remembers a request: its line, its fields in order of their names, and its content.
func (o *movingOrigin) note(r *http.Request, body []byte) {
	var lines []string
	lines = append(lines, fmt.Sprintf("asked %s %s %s", r.Method, r.RequestURI, r.Proto), "asked host "+r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			lines = append(lines, "asked with "+strings.ToLower(name)+": "+v)
		}
	}
	if len(r.TransferEncoding) > 0 {
		lines = append(lines, "asked with transfer-encoding: "+r.TransferEncoding[0])
	}
	if len(body) > 0 {
		lines = append(lines, "asked with content: "+brief(body))
	}
	slices.Sort(lines[2:])
	o.site.mu.Lock()
	defer o.site.mu.Unlock()
	o.site.asked = append(o.site.asked, lines...)
	o.site.by = o.name
}

// news returns what was asked since it was last called, and which server answered last, "" for none.
func (s *movingSite) news() (asked []string, by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, by = s.asked, s.by
	s.asked, s.by = nil, ""
	return asked, by
}

// forget begins to count anew.
func (s *movingSite) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.by, s.count = nil, "", map[string]int{}
}

// brief spells content, or what is left of it by a hash.
func brief(b []byte) string {
	if len(b) <= 60 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%d bytes, %x", len(b), sha256.Sum256(b))[:40]
}
