package frontend

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// wire is a connection whose writes are kept and whose reads come from a text.
type wire struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (w *wire) Read(b []byte) (int, error)         { return w.in.Read(b) }
func (w *wire) Write(b []byte) (int, error)        { return w.out.Write(b) }
func (w *wire) Close() error                       { return nil }
func (w *wire) SetDeadline(t time.Time) error      { return nil }
func (w *wire) SetReadDeadline(t time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(t time.Time) error { return nil }

// helloOf is what a TLS client says first.
func helloOf(c *tls.Config) []byte {
	c.InsecureSkipVerify = true
	w := &wire{in: strings.NewReader("")}
	tls.Client(w, c).Handshake()
	return w.out.Bytes()
}

// inRecords spreads the message of a hello over records of that size.
func inRecords(hello []byte, size int) (b []byte) {
	for msg := hello[5:]; len(msg) > 0; {
		n := min(size, len(msg))
		b = append(append(b, 0x16, 3, 1, byte(n>>8), byte(n)), msg[:n]...)
		msg = msg[n:]
	}
	return b
}

// TestServerName: the name is found however the hello comes in, as soon as it can be and not before.
func TestServerName(t *testing.T) {
	long := strings.Repeat("a.", 100) + "example.com"
	for _, tt := range []struct {
		name  string
		hello []byte
		want  string
	}{
		{"TLS 1.3", helloOf(&tls.Config{ServerName: "a.example.com"}), "a.example.com"},
		{"TLS 1.2", helloOf(&tls.Config{ServerName: "a.example.com", MaxVersion: tls.VersionTLS12}), "a.example.com"},
		{"a long name", helloOf(&tls.Config{ServerName: long}), long},
		{"with ALPN", helloOf(&tls.Config{ServerName: "a.example.com", NextProtos: []string{"h2", "http/1.1"}}), "a.example.com"},
		{"no name", helloOf(&tls.Config{ServerName: "192.0.2.1"}), ""},
		{"in records of 100 bytes", inRecords(helloOf(&tls.Config{ServerName: "a.example.com"}), 100), "a.example.com"},
	} {
		for i := range len(tt.hello) {
			if name, done := serverName(tt.hello[:i]); done {
				t.Errorf("%s: done after %d of %d bytes, with %q", tt.name, i, len(tt.hello), name)
				break
			}
		}
		if name, done := serverName(append(bytes.Clone(tt.hello), "more"...)); string(name) != tt.want || !done {
			t.Errorf("%s: got %q, %v; want %q", tt.name, name, done, tt.want)
		}
	}
}

// TestServerNameOfOthers: what is no hello has no name, and is not waited for.
func TestServerNameOfOthers(t *testing.T) {
	hello := helloOf(&tls.Config{ServerName: "a.example.com"})
	server := bytes.Clone(hello)
	server[5] = 2 // a ServerHello
	huge := bytes.Clone(hello)
	huge[6], huge[7] = 1, 0 // 64 KiB and more
	for name, b := range map[string][]byte{
		"HTTP":                 []byte("GET / HTTP/1.1\r\n"),
		"SSH":                  []byte("SSH-2.0-OpenSSH"),
		"one strange byte":     {0x17},
		"SSL 2":                {0x80, 0x2e, 1, 3, 1},
		"an empty record":      {0x16, 3, 1, 0, 0},
		"an alert":             {0x15, 3, 1, 0, 2, 2, 40},
		"another message":      server,
		"a message too large":  huge,
		"a record too large":   {0x16, 3, 1, 0xff, 0xff},
		"a strange version":    {0x16, 0x10, 0, 0, 10},
		"one byte in a record": inRecords(hello, 1),
	} {
		if got, done := serverName(b); !done || len(got) > 0 {
			t.Errorf("%s: got %q, %v", name, got, done)
		}
	}
}

// FuzzServerName: where crypto/tls reads a hello, the name is the same.
func FuzzServerName(f *testing.F) {
	for _, c := range []*tls.Config{{ServerName: "a.example.com"}, {ServerName: "b.test", MaxVersion: tls.VersionTLS12}, {ServerName: "192.0.2.1"}} {
		f.Add(helloOf(c))
		f.Add(inRecords(helloOf(c), 50))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0x16, 3, 1, 0, 4, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		name, done := serverName(b)
		read := false
		var theirs string
		errRead := errors.New("read")
		tls.Server(&wire{in: bytes.NewReader(b)}, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			read, theirs = true, h.ServerName
			return nil, errRead
		}}).Handshake()
		if !read {
			return // whatever it is, a server will end it
		}
		if done && len(name) == 0 && bytes.Count(b, []byte{0x16}) > maxRecords {
			return // spread over more records than anybody does
		}
		if !done || string(name) != theirs {
			t.Errorf("got %q, %v; crypto/tls reads %q", name, done, theirs)
		}
	})
}
