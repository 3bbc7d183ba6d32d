//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// browsed is a site as browsers find it: HTTP/2 and HTTP/3, a cache, and a frontend for each coding.
const browsed = `
global {
  state_dir      = "state"
  shutdown_grace = "20s"
}
admin { socket = "admin.sock" }
log "access" {
  output = "access.log"
  format = "json"
}
tls "own" { certificate = "site.pem" }
cache "pages" {}
frontend "www" {
  hosts = ["www.example.test", "quic.example.test", "learn.example.test"]
  bind "ADDRESS" {
    tls   = tls.own
    http3 = true
  }
  backend = backend.app
  cache   = cache.pages
  log     = log.access
  compress { types = ["text/plain", "text/event-stream"] }
}
CODINGS
backend "app" {
  cookie "WHO" {}
  server "A" "SERVER" {}
  server "B" "OTHER" {}
}
`

// codings are the frontends whose name says how they compress.
func codings() string {
	var b strings.Builder
	for _, c := range []string{"gzip", "br", "zstd"} {
		fmt.Fprintf(&b, `frontend "%s" {
  hosts = ["%[1]s.example.test"]
  bind "ADDRESS" {
    tls   = tls.own
    http3 = true
  }
  backend = backend.app
  cache   = cache.pages
  compress { algorithms = ["%[1]s"] }
}
`, c)
	}
	return b.String()
}

// TestBrowser goes to a site as people do.
func TestBrowser(t *testing.T) {
	a := &application{T: t, heard: make(chan string), more: make(chan struct{}), slow: make(chan struct{}), late: make(chan struct{}), urgency: map[string]string{}}
	other := httptest.NewServer(a.serve("B"))
	t.Cleanup(other.Close)
	dir, address := place(t, strings.NewReplacer("CODINGS", codings(), "OTHER", other.Listener.Addr().String()).Replace(browsed), a.serve("A"))
	pair, err := freshPair("*.example.test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "site.pem"), pair, 0o600); err != nil {
		t.Fatal(err)
	}
	port := address[strings.LastIndexByte(address, ':'):]
	b := browse(t, address, pair, "quic.example.test"+port, "learn.example.test:1")
	g := launch(t, dir, nil)
	g.says("serving")
	v := &visitOf{application: a, b: b, g: g, site: "https://www.example.test" + port, port: port}
	t.Run("page", v.page)
	t.Run("session", v.session)
	t.Run("cache", v.cache)
	t.Run("upload", v.upload)
	t.Run("streams", v.streams)
	t.Run("socket", v.socket)
	t.Run("events", v.events)
	t.Run("codings", v.codings)
	t.Run("http3", v.http3)
	t.Run("upgrade", v.upgrade)
	t.Run("reload", v.reload)
	t.Run("end", v.end)
}

// visitOf is somebody's browser at a site.
type visitOf struct {
	*application
	b    *browser
	g    *process
	site string
	port string
}

// on opens a tab on the site.
func (v *visitOf) on(t *testing.T) *page {
	t.Helper()
	b := v.b
	b.T = t
	p := b.page()
	p.open(v.site + "/?0")
	return p
}

// line returns the last line of the access log about a path.
func (v *visitOf) line(t *testing.T, path string) (l struct {
	Protocol, Method, Termination string
	Status                        int
}) {
	t.Helper()
	v.g.await("a line about "+path, func() bool {
		text, _ := os.ReadFile(filepath.Join(v.g.dir, "access.log"))
		i := strings.LastIndex(string(text), `"path":"`+path+`"`)
		if i < 0 {
			return false
		}
		begin := strings.LastIndexByte(string(text[:i]), '\n') + 1
		whole, _, ok := strings.Cut(string(text[begin:]), "\n")
		return ok && json.Unmarshal([]byte(whole), &l) == nil
	})
	return l
}

// loaded is what a page says of its parts.
type loaded struct {
	Images, Ran int
	Protocols   map[string]int
}

// census counts the parts of the page that have come.
const census = `
	const protocols = {}
	for (const e of performance.getEntriesByType("resource"))
		protocols[e.nextHopProtocol] = (protocols[e.nextHopProtocol] ?? 0) + 1
	return {images: [...document.images].filter(i => i.complete && i.naturalWidth == 8).length, ran, protocols}`

func (l loaded) String() string {
	return fmt.Sprint(l.Images, " images, ", l.Ran, " scripts, by ", l.Protocols)
}

// page: 200 parts come over one connection, and the browser's priorities get as far as the servers.
func (v *visitOf) page(t *testing.T) {
	p := v.on(t)
	p.open(v.site + "/")
	var l loaded
	p.run(census, &l)
	if l.Images != 100 || l.Ran != 100 || l.Protocols["h2"]+l.Protocols["h3"] != 200 {
		t.Error(l)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if image, script := v.urgency["image/svg+xml"], v.urgency["text/javascript"]; !strings.Contains(image, "i") || image == script {
		t.Errorf("the priorities are %q for an image and %q for a script", image, script)
	}
}

// session: the browser keeps to its server, and scripts do not see the cookie.
func (v *visitOf) session(t *testing.T) {
	var said []string
	for range 2 {
		p := v.on(t)
		var all []string
		p.run(`const all = []
			for (let i = 0; i < 4; i++) all.push(await (await fetch("/who")).text())
			return [...new Set(all), document.cookie]`, &all)
		if len(all) != 2 || all[1] != "" {
			t.Errorf("servers and cookies seen: %q", all)
		}
		said = append(said, all[0])
	}
	if said[0] == said[1] {
		t.Errorf("two browsers, both at %s", said[0])
	}
}

// cache: what is asked for again is made once.
func (v *visitOf) cache(t *testing.T) {
	var got [][2]string
	v.on(t).run(`const all = []
		for (let i = 0; i < 3; i++) {
			const r = await fetch("/cached")
			all.push([await r.text(), r.headers.get("cache-status")])
		}
		return all`, &got)
	for i, g := range got {
		if g[0] != "1" || strings.Contains(g[1], "hit") != (i > 0) {
			t.Errorf("time %d: %q", i, g)
		}
	}
}

// upload: 20 MB arrive as they are.
func (v *visitOf) upload(t *testing.T) {
	var got [2]string
	v.on(t).run(`const b = new Uint8Array(20e6)
		for (let i = 0; i < b.length; i += 5e4) crypto.getRandomValues(b.subarray(i, i + 5e4))
		const sum = await crypto.subtle.digest("SHA-256", b)
		return [new Uint8Array(sum).toHex(), await (await fetch("/upload", {method: "POST", body: b})).text()]`, &got)
	if got[0] != got[1] || len(got[0]) != 64 {
		t.Errorf("%s was sent, %s has come", got[0], got[1])
	}
}

// streams: what the browser or the server says is there before the other one has to say more.
func (v *visitOf) streams(t *testing.T) {
	p := v.on(t)
	var got []string
	p.run(`let to
		const body = new ReadableStream({start(c) { to = c }}).pipeThrough(new TextEncoderStream())
		const answer = fetch("/talk", {method: "POST", body, duplex: "half"})
		const heard = []
		for (const word of ["one", "two", "three"]) {
			to.enqueue(word)
			heard.push(await (await fetch("/heard")).text())
		}
		to.close()
		return [...heard, await (await answer).text()]`, &got)
	if fmt.Sprint(got) != "[one two three onetwothree]" {
		t.Errorf("from the browser: %q", got)
	}
	p.run(`const from = (await fetch("/tell")).body.pipeThrough(new TextDecoderStream()).getReader()
		const told = []
		for (;;) {
			const {value, done} = await from.read()
			if (done) return told
			told.push(value)
			if (told.length < 3) await fetch("/more")
		}`, &got)
	if fmt.Sprint(got) != "[one. two. three.]" {
		t.Errorf("from the server: %q", got)
	}
	if c := p.answer(v.site + "/tell").Headers["content-encoding"]; c != "zstd" {
		t.Errorf("the server's stream has coding %q", c)
	}
}

// socket: a WebSocket goes over HTTP/2, and ends as both sides mean it.
func (v *visitOf) socket(t *testing.T) {
	var got []any
	v.on(t).run(`const s = new WebSocket("/socket")
		s.binaryType = "arraybuffer"
		const told = () => new Promise((done, failed) => { s.onmessage = e => done(e.data); s.onerror = failed; s.onclose = failed })
		await new Promise((done, failed) => { s.onopen = done; s.onerror = failed })
		s.send("hey")
		const short = await told()
		const b = new Uint8Array(1e6).fill(7)
		s.send(b)
		const long = new Uint8Array(await told())
		const closed = new Promise(done => s.onclose = e => done([e.code, e.wasClean]))
		s.close(4321)
		return [short, long.length == b.length && long.every(x => x == 7), ...await closed]`, &got)
	if fmt.Sprint(got) != "[hey true 4321 true]" {
		t.Errorf("%v", got)
	}
	if l := v.line(t, "/socket"); l.Protocol != "HTTP/2.0" || l.Status != 101 || l.Termination[:2] != "--" {
		t.Errorf("the log has %+v", l)
	}
}

// events: each event of a compressed stream is there before the next one.
func (v *visitOf) events(t *testing.T) {
	p := v.on(t)
	var got []string
	p.run(`const s = new EventSource("/events")
		const told = []
		await new Promise((done, failed) => {
			s.onmessage = async e => { told.push(e.data); told.length < 3 ? await fetch("/more") : done() }
			s.onerror = failed
		})
		s.close()
		return told`, &got)
	if a := p.answer(v.site + "/events"); fmt.Sprint(got) != "[one two three]" || a.Headers["content-encoding"] != "zstd" {
		t.Errorf("%q, %v", got, a)
	}
}

// codings: the browser understands what each of them makes, fresh and from the cache.
func (v *visitOf) codings(t *testing.T) {
	v.b.T = t
	for _, coding := range []string{"gzip", "br", "zstd"} {
		url := "https://" + coding + ".example.test" + v.port + "/text"
		for range 2 {
			p := v.b.page()
			p.open(url)
			var got string
			p.run(`return document.body.textContent`, &got)
			if a := p.answer(url); got != text || a.Headers["content-encoding"] != coding || a.Length < 100 || a.Length > 10_000 {
				t.Errorf("%s: %d bytes of text, %v", coding, len(got), a)
			}
		}
	}
}
