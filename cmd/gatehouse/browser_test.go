//go:build linux

package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a Chromium without a window, told what to do by the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/) over a
// pair of pipes: a message is JSON and a zero byte.
type browser struct {
	*testing.T
	to   io.WriteCloser
	over chan struct{} // closed when it says nothing any more

	mu      sync.Mutex // guards what follows
	last    int        // number of the last message
	waiting map[int]chan devtool
	pages   map[string]*page // by session
}

// devtool is a message of the protocol: a command, its answer, or an event.
type devtool struct {
	ID      int             `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// browse starts a browser. It takes every host for the machine at address, holds the certificate in pem to be good, and speaks nothing but
// HTTP/3 with the hosts and ports in quic. With these hosts it speaks HTTP/3 although no known authority has signed their certificates, which it
// does with nobody else, whatever it holds to be good; a port that is not theirs (":1") allows that alone, and leaves the rest to Alt-Svc.
func browse(t *testing.T, address string, pair []byte, quic ...string) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "chromium is not installed")
	}
	block, _ := pem.Decode(pair)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	host, _, _ := strings.Cut(address, ":")
	home, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+home, "--remote-debugging-pipe",
		"--host-resolver-rules=MAP * "+host, "--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(key[:]),
		"--enable-quic", "--origin-to-force-quic-on="+strings.Join(quic, ","), "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	commands, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{commands, answers} // 3 and 4, as the option means it
	err = cmd.Start()
	commands.Close()
	answers.Close()
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{T: t, to: to, over: make(chan struct{}), waiting: map[int]chan devtool{}, pages: map[string]*page{}}
	go b.listen(from)
	t.Cleanup(func() {
		b.tell("", "Browser.close", nil)
		select {
		case <-b.over:
		case <-time.After(patience):
			t.Error("the browser does not end")
			cmd.Process.Kill()
		}
		to.Close()
		cmd.Wait()
		from.Close()
		os.RemoveAll(home)
	})
	return b
}

// listen takes what the browser says, until its end.
func (b *browser) listen(from io.Reader) {
	defer close(b.over)
	for r := bufio.NewReader(from); ; {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m devtool
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			b.Errorf("the browser says %q: %v", text, err)
			continue
		}
		b.mu.Lock()
		answer, p := b.waiting[m.ID], b.pages[m.Session]
		delete(b.waiting, m.ID)
		b.mu.Unlock()
		if answer != nil {
			answer <- m
		} else if p != nil && m.ID == 0 {
			p.event(m.Method, m.Params)
		}
	}
}

// tell sends a command and returns the channel for its answer.
func (b *browser) tell(session, method string, params any) <-chan devtool {
	answer := make(chan devtool, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	b.waiting[b.last] = answer
	m := devtool{ID: b.last, Method: method, Session: session}
	var err error
	if params != nil {
		m.Params, err = json.Marshal(params)
	}
	var text []byte
	if err == nil {
		text, err = json.Marshal(m)
	}
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	if err != nil {
		answer <- devtool{Error: &struct {
			Message string `json:"message"`
		}{err.Error()}}
	}
	return answer
}

// do sends a command and waits for its answer, which goes to result unless that is nil.
func (b *browser) do(session, method string, params, result any) {
	b.Helper()
	b.result(method, b.tell(session, method, params), result)
}

func (b *browser) result(method string, answer <-chan devtool, result any) {
	b.Helper()
	select {
	case m := <-answer:
		if m.Error != nil {
			b.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result == nil {
			return
		}
		if err := json.Unmarshal(m.Result, result); err != nil {
			b.Fatalf("%s: %v", method, err)
		}
	case <-b.over:
		b.Fatalf("%s: the browser has ended", method)
	case <-time.After(patience):
		b.Fatalf("%s: no answer", method)
	}
}
