//go:build linux

package main

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// application is the site the browser goes to, behind gatehouse: two servers share it.
type application struct {
	*testing.T
	cached  atomic.Int64  // how often a server made what may be cached
	heard   chan string   // what "/talk" has got of a request that goes on
	more    chan struct{} // each lets "/tell" and "/events" say more
	slow    chan struct{} // closed: "/slow/" answers
	late    chan struct{} // "/late/" likewise
	waiting atomic.Int64  // requests that came to either

	mu      sync.Mutex        // guards urgency
	urgency map[string]string // what the browser says of its priorities, by media type
}

// text gets smaller.
var text = strings.Repeat("It was the best of times, it was the worst of times.\n", 2000)

// serve is one of the servers.
func (a *application) serve(name string) http.HandlerFunc {
	m := http.NewServeMux()
	m.HandleFunc("/{$}", a.index)
	m.HandleFunc("/part/{file}", a.part)
	m.HandleFunc("/slow/", a.held(a.slow))
	m.HandleFunc("/late/", a.held(a.late))
	m.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) })
	m.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		if _, err := io.Copy(h, r.Body); err != nil {
			a.Errorf("an upload: %v", err)
		}
		io.WriteString(w, hex.EncodeToString(h.Sum(nil)))
	})
	m.HandleFunc("/talk", a.talk)
	m.HandleFunc("/heard", func(w http.ResponseWriter, r *http.Request) {
		select {
		case s := <-a.heard:
			io.WriteString(w, s)
		case <-r.Context().Done():
		}
	})
	m.HandleFunc("/tell", a.tell)
	m.HandleFunc("/events", a.tell)
	m.HandleFunc("/more", func(w http.ResponseWriter, r *http.Request) {
		select {
		case a.more <- struct{}{}:
		case <-r.Context().Done():
		}
	})
	m.HandleFunc("/socket", a.socket)
	m.HandleFunc("/text", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Cache-Control", "public, max-age=60")
		io.WriteString(w, text)
	})
	m.HandleFunc("/cached", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "s-maxage=600, max-age=0")
		fmt.Fprint(w, a.cached.Add(1))
	})
	return m.ServeHTTP
}

// held gives parts when the gate is open.
func (a *application) held(gate <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.waiting.Add(1)
		select {
		case <-gate:
			a.part(w, r)
		case <-r.Context().Done():
		}
	}
}

// index is a page of images and scripts: 100 of each, or as many as n says, from the folder in.
func (a *application) index(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	n, in := 100, "part"
	fmt.Sscanf(r.URL.RawQuery, "%d&%s", &n, &in)
	io.WriteString(w, "<!DOCTYPE html><title>a page</title><link rel=icon href=data:,><script>var ran = 0</script>\n")
	for i := range n {
		fmt.Fprintf(w, "<img src=/%s/%d.svg><script src=/%[1]s/%d.js defer></script>\n", in, i)
	}
}

// part is an image or a script of some kilobytes.
func (a *application) part(w http.ResponseWriter, r *http.Request) {
	kind, filling, head := "image/svg+xml", "<!-- %s -->", `<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>`
	if strings.HasSuffix(r.URL.Path, ".js") {
		kind, filling, head = "text/javascript", "/* %s */", "ran++;"
	}
	a.mu.Lock()
	a.urgency[kind] = r.Header.Get("Priority")
	a.mu.Unlock()
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(w, head+filling, strings.Repeat("part ", len(r.URL.Path)*300))
}

// talk says what it has got as soon as it gets it.
func (a *application) talk(w http.ResponseWriter, r *http.Request) {
	var all strings.Builder
	for b := make([]byte, 1000); ; {
		n, err := r.Body.Read(b)
		if all.Write(b[:n]); n > 0 {
			select {
			case a.heard <- string(b[:n]):
			case <-r.Context().Done():
			}
		}
		if err == io.EOF {
			io.WriteString(w, all.String())
			return
		} else if err != nil {
			a.Errorf("a stream from the browser: %v", err)
			return
		}
	}
}

// tell says three things, and waits for a request for more in between.
func (a *application) tell(w http.ResponseWriter, r *http.Request) {
	kind, line := "text/plain", "%s."
	if r.URL.Path == "/events" {
		kind, line = "text/event-stream", "data: %s\n\n"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Path == "/events" {
		w.Header().Set("Cache-Control", "public, max-age=60") // nobody's secret
	}
	for i, s := range []string{"one", "two", "three"} {
		if i > 0 {
			select {
			case <-a.more:
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprintf(w, line, s)
		w.(http.Flusher).Flush()
	}
}

// socket sends back each message of a WebSocket (RFC 6455), until the browser closes it.
func (a *application) socket(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	w.WriteHeader(http.StatusSwitchingProtocols)
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		a.Error(err)
		return
	}
	defer c.Close()
	rw.Flush()
	for {
		kind, message, err := readFrame(rw.Reader)
		if err != nil {
			a.Errorf("a WebSocket: %v", err)
			return
		}
		head := []byte{kind, byte(len(message))}
		switch n := len(message); {
		case n > 0xffff:
			head = binary.BigEndian.AppendUint64([]byte{kind, 127}, uint64(n))
		case n > 125:
			head = binary.BigEndian.AppendUint16([]byte{kind, 126}, uint16(n))
		}
		rw.Write(head)
		rw.Write(message)
		if rw.Flush(); kind&0xf == 8 { // close
			return
		}
	}
}

// readFrame reads a frame of a client, with its first byte.
func readFrame(r *bufio.Reader) (kind byte, content []byte, err error) {
	var head [14]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, nil, err
	}
	n, more := uint64(head[1]&0x7f), 0
	switch n {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	if _, err := io.ReadFull(r, head[2:6+more]); err != nil {
		return 0, nil, err
	}
	switch more {
	case 2:
		n = uint64(binary.BigEndian.Uint16(head[2:]))
	case 8:
		n = binary.BigEndian.Uint64(head[2:])
	}
	mask := head[2+more : 6+more]
	content = make([]byte, n)
	_, err = io.ReadFull(r, content)
	for i := range content {
		content[i] ^= mask[i%4]
	}
	return head[0], content, err
}
