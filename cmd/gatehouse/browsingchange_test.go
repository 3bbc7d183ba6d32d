//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// http3: the site speaks it, to a browser that speaks nothing else there.
func (v *visitOf) http3(t *testing.T) {
	v.b.T = t
	p := v.b.page()
	site := "https://quic.example.test" + v.port
	p.open(site + "/")
	var l loaded
	p.run(census, &l)
	if a := p.answer(site + "/"); a.Protocol != "h3" || l.Images != 100 || l.Ran != 100 || l.Protocols["h3"] != 200 {
		t.Errorf("%v, %v", a, l)
	}
	var who string
	p.run(`return (await fetch("/upload", {method: "POST", body: "x".repeat(1e6)})).text()`, &who)
	if l := v.line(t, "/upload"); len(who) != 64 || l.Protocol != "HTTP/3.0" {
		t.Errorf("an upload: %q, %+v", who, l)
	}
}

// upgrade: the browser comes over HTTP/2, reads in Alt-Svc that there is HTTP/3, and goes on over that by itself.
func (v *visitOf) upgrade(t *testing.T) {
	v.b.T = t
	p := v.b.page()
	site := "https://learn.example.test" + v.port
	p.open(site + "/?0")
	if a := p.answer(site + "/?0"); a.Protocol != "h2" {
		t.Errorf("it comes over %s", a.Protocol)
	}
	var spoken []string
	p.run(`const spoken = []
		for (let i = 0; i < 200 && spoken.at(-1) != "h3"; i++) {
			const at = location.origin + "/upload?" + i
			await (await fetch(at, {method: "POST", body: "x"})).text()
			spoken.push(performance.getEntriesByName(at)[0].nextHopProtocol)
			await new Promise(done => setTimeout(done, 50))
		}
		return spoken`, &spoken)
	if n := len(spoken); n == 0 || spoken[n-1] != "h3" {
		t.Fatalf("it stays with %v", spoken)
	}
	if l := v.line(t, "/upload"); l.Protocol != "HTTP/3.0" || l.Status != 200 {
		t.Errorf("the line %+v", l)
	}
}

// reload: a page that is loading meanwhile gets all of its parts.
func (v *visitOf) reload(t *testing.T) {
	p := v.on(t)
	p.run(`globalThis.s = new WebSocket("/socket")
		await new Promise((done, failed) => { s.onopen = done; s.onerror = failed })`, nil)
	q := v.on(t)
	q.do(q.session, "Page.navigate", map[string]any{"url": v.site + "/?40&slow"}, nil)
	v.g.await("requests", func() bool { return v.waiting.Load() >= 60 })
	name := filepath.Join(v.g.dir, "gatehouse.hcl")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(text, []byte("cache   = cache.pages"), []byte("max_connections = 99"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	v.g.signal(syscall.SIGHUP)
	v.g.says("reloaded")
	close(v.slow)
	q.complete()
	var l loaded
	q.run(census, &l)
	if l.Images != 40 || l.Ran != 40 || l.Protocols["h2"]+l.Protocols["h3"] != 80 {
		t.Error(l)
	}
	var said string
	p.run(`const told = new Promise((done, failed) => { s.onmessage = e => done(e.data); s.onclose = failed })
		s.send("still there")
		const word = await told
		await new Promise(done => { s.onclose = done; s.close() })
		return word`, &said)
	if said != "still there" {
		t.Errorf("the WebSocket says %q", said)
	}
	if q.fetched("/cached") == "1" {
		t.Error("the cache that was taken out still answers")
	}
}

// end: gatehouse is told to stop, and what is under way is answered. Another one takes its place, and the page goes on.
func (v *visitOf) end(t *testing.T) {
	v.waiting.Store(0)
	p := v.on(t)
	const n = 20
	answers := p.start(fmt.Sprintf(`const all = []
		for (let i = 0; i < %d; i++) all.push(fetch("/late/" + i + ".js").then(async r => (await r.text()).length > 1000))
		return (await Promise.all(all)).filter(ok => ok).length`, n))
	v.g.await("requests", func() bool { return v.waiting.Load() == n })
	v.g.signal(syscall.SIGTERM)
	v.g.says("stopping")
	close(v.late)
	var well int
	if p.ran(answers, &well); well != n {
		t.Errorf("%d of %d answers", well, n)
	}
	v.g.ends(0)
	v.g = launch(v.T, v.g.dir, nil)
	v.g.says("serving")
	if who := p.fetched("/who"); who != "A" && who != "B" {
		t.Errorf("afterwards %q answers", who)
	}
}
