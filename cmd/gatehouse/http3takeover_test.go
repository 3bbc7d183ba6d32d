//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"gatehouse/cmd/gatehouse/admin"
)

const http3Site = `
global {
  state_dir      = "state"
  shutdown_grace = "20s"
}
admin { socket = "admin.sock" }
tls "own" { internal = true }
frontend "www" {
  hosts = ["site.test"]
  bind "ADDRESS" {
    tls   = tls.own
    http3 = true
  }
  backend = backend.app
}
backend "app" {
  check "tcp" { interval = "50ms" }
  server "A" "SERVER" {}
}
`

// visitor3 is a client of HTTP/3, with a connection of its own.
func visitor3(t *testing.T, address string) *http.Client {
	tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "site.test"}}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: patience}
}

// TestTakeoverOfHTTP3 puts process after process in charge under load: no request over HTTP/3 fails, neither on connections that stay nor on
// new ones, and a download that began with the first process is whole although others have the socket.
func TestTakeoverOfHTTP3(t *testing.T) {
	goOn := make(chan struct{})
	half := strings.Repeat("x", 500_000)
	dir, address := place(t, http3Site, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			io.WriteString(w, half)
			w.(http.Flusher).Flush()
			<-goOn
			io.WriteString(w, half)
			return
		}
		if r.Method == "POST" {
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
			return
		}
		fine(w, r)
	})
	url := "https://" + address + "/"
	ask := func(method, path, content string) *http.Request {
		q, err := http.NewRequest(method, url+path, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		q.Host = "site.test"
		return q
	}
	first := launch(t, dir, nil)
	first.says("serving")

	download := make(chan string, 1)
	began := make(chan struct{})
	go func() {
		resp, err := visitor3(t, address).Do(ask("GET", "large", ""))
		if err != nil {
			close(began)
			download <- err.Error()
			return
		}
		defer resp.Body.Close()
		io.ReadFull(resp.Body, make([]byte, len(half)))
		close(began)
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != half {
			download <- fmt.Sprintf("the second half has %d bytes, %v", len(b), err)
			return
		}
		download <- ""
	}()
	<-began

	// Who has a session ticket of the first process resumes with the last.
	known := &tls.Config{InsecureSkipVerify: true, ServerName: "site.test", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	resumed := func() bool {
		c, err := tls.Dial("tcp", address, known)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "HEAD / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
		io.Copy(io.Discard, c) // the ticket comes first
		return c.ConnectionState().DidResume
	}
	if resumed() {
		t.Error("a first connection resumes")
	}

	var over atomic.Bool
	var visits, fresh atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer over.Store(true)
	for i := range 4 {
		wg.Go(func() {
			c := visitor3(t, address)
			for !over.Load() {
				if i == 3 { // one who always comes anew
					c.CloseIdleConnections()
					c.Transport.(*http3.Transport).Close()
					c = visitor3(t, address)
					fresh.Add(1)
				}
				q, want := ask("GET", "", ""), "fine"
				if i == 2 {
					q, want = ask("POST", "", half), strconv.Itoa(len(half))
				}
				resp, err := c.Do(q)
				var b []byte
				if err == nil {
					b, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if err != nil || string(b) != want {
					t.Errorf("client %d: %q, %v", i, b, err)
					return
				}
				visits.Add(1)
			}
		})
	}
	old := first
	for range 3 {
		seen, came := visits.Load(), fresh.Load()
		next := launch(t, dir, nil, "--takeover")
		next.says("taken over")
		if old != first {
			old.ends(0)
		}
		next.await("requests", func() bool { return visits.Load() > seen+100 && fresh.Load() > came+5 || t.Failed() })
		old = next
	}
	client := admin.Dial(filepath.Join(dir, "admin.sock"))
	defer client.Close()
	for range 3 {
		if o, err := client.Reload(t.Context()); err != nil || !o.Done {
			t.Errorf("a reload: %+v, %v", o, err)
		}
	}
	if !resumed() {
		t.Error("the session is lost")
	}
	if !first.runs() {
		t.Error("the first one has not waited for the download")
	}
	close(goOn)
	if s := <-download; s != "" {
		t.Errorf("the download: %s", s)
	}
	first.ends(0)
	over.Store(true)
	wg.Wait()
	old.signal(syscall.SIGTERM)
	old.ends(0)
	t.Logf("%d requests, %d handshakes", visits.Load(), fresh.Load())
}

// TestTakeoverWithoutHTTP3: where the process that takes over does not speak it any more, clients that remember it are told so, and a download
// that began over it is whole.
func TestTakeoverWithoutHTTP3(t *testing.T) {
	goOn := make(chan struct{})
	half := strings.Repeat("x", 300_000)
	dir, address := place(t, http3Site, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			io.WriteString(w, half)
			w.(http.Flusher).Flush()
			<-goOn
			io.WriteString(w, half)
			return
		}
		fine(w, r)
	})
	told := func() string {
		t.Helper()
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "site.test"}}
		defer tr.CloseIdleConnections()
		q, err := http.NewRequest("GET", "https://"+address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = "site.test"
		resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return strings.Join(resp.Header["Alt-Svc"], " and ")
	}
	first := launch(t, dir, nil)
	first.says("serving")
	if got := told(); !strings.HasPrefix(got, `h3=":`) {
		t.Fatalf("Alt-Svc %q", got)
	}
	q, err := http.NewRequest("GET", "https://"+address+"/large", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Host = "site.test"
	resp, err := visitor3(t, address).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	name := filepath.Join(dir, "gatehouse.hcl")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), "http3 = true", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	next := launch(t, dir, nil, "--takeover")
	next.says("taken over")
	if got := told(); got != "clear" {
		t.Errorf("Alt-Svc %q", got)
	}
	close(goOn)
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != half+half {
		t.Errorf("the download has %d bytes, %v", len(b), err)
	}
	first.ends(0)
	next.signal(syscall.SIGTERM)
	next.ends(0)
}

// TestHTTP3AfterACrash: a client whose server process has ended without a word learns it from the next one at once, by a stateless reset (RFC 9000
// 10.3), and not by its own patience.
func TestHTTP3AfterACrash(t *testing.T) {
	dir, address := place(t, http3Site, fine)
	first := launch(t, dir, nil)
	first.says("serving")
	qc, err := quic.DialAddr(t.Context(), address, &tls.Config{InsecureSkipVerify: true, ServerName: "site.test", NextProtos: []string{"h3"}},
		&quic.Config{MaxIdleTimeout: 2 * patience})
	if err != nil {
		t.Fatal(err)
	}
	first.signal(syscall.SIGKILL)
	<-first.over
	next := launch(t, dir, nil)
	next.says("serving")
	s, err := qc.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	s.Write(make([]byte, 500))
	select {
	case <-qc.Context().Done():
	case <-time.After(patience):
		t.Fatal("the client is not told")
	}
	if err := context.Cause(qc.Context()); !errors.Is(err, &quic.StatelessResetError{}) {
		t.Errorf("the client is told %v", err)
	}
}
