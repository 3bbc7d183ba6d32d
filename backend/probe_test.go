package backend

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// AT-1.6: what an HTTP check counts as well, and in which words it says what is wrong.
func TestProbeHTTP(t *testing.T) {
	const a = "192.168.1.11:80"
	tests := []struct {
		name string
		m    machine
		want string
	}{
		{"200", says("HTTP/1.0 200 OK\r\n\r\n"), "open: HTTP status 200 after 0 ms"},
		{"204", says("HTTP/1.1 204 No Content\r\n\r\n"), "open: HTTP status 204 after 0 ms"},
		{"301", says("HTTP/1.1 301 Moved\r\n\r\n"), "open: HTTP status 301 after 0 ms"},
		{"399", says("HTTP/1.1 399 ?\r\n\r\n"), "open: HTTP status 399 after 0 ms"},
		{"twelve bytes are enough", says("HTTP/1.1 200"), "open: HTTP status 200 after 0 ms"},
		{"199", says("HTTP/1.1 199 ?\r\n\r\n"), "shut: HTTP status 199, expected 2xx or 3xx, after 0 ms"},
		{"400", says("HTTP/1.1 400 Bad\r\n\r\n"), "shut: HTTP status 400, expected 2xx or 3xx, after 0 ms"},
		{"404", says("HTTP/1.1 404 Not Found\r\n\r\n"), "shut: HTTP status 404, expected 2xx or 3xx, after 0 ms"},
		{"eleven bytes", says("HTTP/1.1 20"), `shut: answer "HTTP/1.1 20" is not HTTP after 0 ms`},
		{"not HTTP", says("SSH-2.0-OpenSSH_9.2\r\n"), `shut: answer "SSH-2.0-Open" is not HTTP after 0 ms`},
		{"HTTP/2", says("HTTP/2 200 OK\r\n\r\n"), `shut: answer "HTTP/2 200 O" is not HTTP after 0 ms`},
		{"closes", says(""), "shut: connection closed without an answer after 0 ms"},
		{"closes unread", func(net.Conn) {}, "shut: connection closed without an answer after 0 ms"},
		{"refused", nil, "shut: connect 192.168.1.11:80: connection refused"},
		{"silent", holds, "shut: no answer within 2s"},
		{"slow, but in time", func(nc net.Conn) {
			readHead(nc)
			for c := range bytes.SplitSeq([]byte("HTTP/1.1 200"), nil) {
				time.Sleep(100 * time.Millisecond)
				nc.Write(c)
			}
		}, "open: HTTP status 200 after 1"},
		{"too slow: the limit is for the whole check", func(nc net.Conn) {
			readHead(nc)
			for c := range bytes.SplitSeq([]byte("HTTP/1.1 200"), nil) {
				time.Sleep(300 * time.Millisecond)
				nc.Write(c)
			}
		}, "shut: no answer within 2s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newLab(t)
				defer b.close()
				b.set(a, tt.m)
				p := b.prober(at(a, httpCheck()))
				p.start()
				b.sleep(2500 * time.Millisecond)
				p.stop()
				_, got, _ := strings.Cut(b.heard(), " A ")
				if !strings.HasPrefix(got, tt.want) {
					t.Errorf("%q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestProbeBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		p := b.prober(at("192.168.1.99:80", tcpCheck()))
		p.start()
		b.sleep(2500 * time.Millisecond)
		if got := b.heard(); !strings.HasSuffix(got, " A shut: connect 192.168.1.99:80: no answer within 2s") {
			t.Errorf("%q", got)
		}
		p.stop()
	})
}

func TestProbeTCPIsContentWithAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		b.set("10.0.0.1:80", holds)
		p := b.prober(at("10.0.0.1:80", tcpCheck()))
		p.start()
		b.sleep(time.Millisecond)
		if got := b.heard(); got != "0 A open: connected after 0 ms" {
			t.Errorf("%q", got)
		}
		p.stop()
	})
}

// What is expected in the answer's text.
func TestProbeText(t *testing.T) {
	const a = "10.0.0.1:80"
	http := func(text string) *Check {
		c := httpCheck()
		c.ExpectText = text
		return c
	}
	tcp := func(send, text string) *Check {
		c := tcpCheck()
		c.Send, c.ExpectText = send, text
		return c
	}
	answers := func(want, answer string) machine {
		return func(nc net.Conn) {
			b := make([]byte, len(want))
			if _, err := io.ReadFull(nc, b); err == nil && string(b) == want {
				io.WriteString(nc, answer)
				io.Copy(io.Discard, nc)
			}
		}
	}
	long := strings.Repeat("x", 10_000)
	tests := []struct {
		name string
		c    *Check
		m    machine
		want string
	}{
		{"found", http("all is (well|fine)"), says("HTTP/1.0 200 OK\r\n\r\nTonight all is well."), `open: content has "all is (well|fine)" after 0 ms`},
		{"not found", http("well"), says("HTTP/1.0 200 OK\r\nX: well\r\n\r\nout of order"), `shut: content "out of order" lacks "well"`},
		{"the status counts too", http("well"), says("HTTP/1.0 500 No\r\n\r\nwell"), "shut: HTTP status 500"},
		{"no content", http("well"), says("HTTP/1.0 200 OK\r\n\r\n"), `shut: content "" lacks "well"`},
		{"no end of the head", http("well"), says("HTTP/1.0 200 OK\r\nX: well"), `shut: content "" lacks "well"`},
		{"only the status line", http("well"), says("HTTP/1.0 200"), `shut: content "" lacks "well"`},
		{"nothing expected of it", http("^$"), says("HTTP/1.0 200 OK\r\n\r\n"), `open: content has "^$"`},
		{"piece by piece", http("we.l"), func(nc net.Conn) {
			readHead(nc)
			for _, c := range "HTTP/1.0 200 OK\r\n\r\nall is well" {
				time.Sleep(10 * time.Millisecond)
				nc.Write([]byte{byte(c)})
			}
		}, `open: content has "we.l" after 300 ms`},
		{"far behind", http("well"), says("HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat(long, 6) + "well"), `open: content has "well"`},
		{"too far behind", http("well"), says("HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat(long, 7) + "well"), `shut: the first 65536 bytes of the answer lack "well"`},
		{"an answer without end", http("well"), func(nc net.Conn) {
			readHead(nc)
			io.WriteString(nc, "HTTP/1.0 200 OK\r\n\r\n")
			for {
				if _, err := io.WriteString(nc, long); err != nil {
					return
				}
			}
		}, "shut: the first 65536 bytes"},
		{"never comes", http("well"), func(nc net.Conn) {
			readHead(nc)
			io.WriteString(nc, "HTTP/1.0 200 OK\r\n\r\nwe")
			io.Copy(io.Discard, nc)
		}, `shut: content "we" lacks "well" within 2s`},
		{"asked and answered", tcp("PING\r\n", "^\\+PONG"), answers("PING\r\n", "+PONG\r\n"), `open: answer has "^\\+PONG" after 0 ms`},
		{"answered wrongly", tcp("PING\r\n", "^\\+PONG"), answers("PING\r\n", "-ERR loading\r\n"), `shut: answer "-ERR loading" lacks "^\\+PONG" within 2s`},
		{"a server that speaks first", tcp("", "^220 "), func(nc net.Conn) { io.WriteString(nc, "220 mail\r\n"); io.Copy(io.Discard, nc) }, `open: answer has "^220 "`},
		{"one that does not", tcp("", "^220 "), holds, `shut: answer "" lacks "^220 " within 2s`},
		{"one that closes", tcp("", "^220 "), func(net.Conn) {}, `shut: answer "" lacks "^220 "`},
		{"sent, and nothing expected", tcp("QUIT\r\n", ""), holds, "open: connected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newLab(t)
				defer b.close()
				b.set(a, tt.m)
				p := b.prober(at(a, tt.c))
				p.start()
				b.sleep(2500 * time.Millisecond)
				p.stop()
				_, got, _ := strings.Cut(b.heard(), " A ")
				if !strings.HasPrefix(got, tt.want) {
					t.Errorf("%q, want %q", got, tt.want)
				}
			})
		})
	}
}

// The request is the line as written and nothing else, but for what HTTP/1.1 must have.
func TestProbeRequest(t *testing.T) {
	tests := []struct{ request, host, addr, want string }{
		{"HEAD /index.html HTTP/1.0", "", "10.0.0.1:80", "HEAD /index.html HTTP/1.0\r\n\r\n"},
		{"HEAD /index.html", "", "10.0.0.1:80", "HEAD /index.html HTTP/1.0\r\n\r\n"},
		{"HEAD / HTTP/1.0", "www.example.com", "10.0.0.1:80", "HEAD / HTTP/1.0\r\nHost: www.example.com\r\n\r\n"},
		{"GET /x?y HTTP/1.1", "www.example.com", "10.0.0.1:80", "GET /x?y HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n"},
		{"GET / HTTP/1.1", "", "[2001:db8::1]:81", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:81\r\nConnection: close\r\n\r\n"},
		{"GET / HTTP/1.1", "", "unix:/run/app.sock", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"},
		{"", "", "10.0.0.1:80", "OPTIONS / HTTP/1.0\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.request, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newLab(t)
				defer b.close()
				var got string
				b.set(tt.addr, func(nc net.Conn) { got, _ = readHead(nc); io.WriteString(nc, "HTTP/1.0 200 OK\r\n\r\n") })
				c := httpCheck()
				c.Request, c.Host = tt.request, tt.host
				p := b.prober(at(tt.addr, c))
				p.start()
				b.sleep(time.Millisecond)
				p.stop()
				b.sleep(time.Millisecond)
				if got != tt.want {
					t.Errorf("%q, want %q", got, tt.want)
				}
			})
		})
	}
}

// AT-2.11: any TLS record counts as alive, an alert too; plain HTTP, silence and a closed port do not.
func TestProbeTLS(t *testing.T) {
	cert := selfSigned(t)
	server := func(c *tls.Config) machine {
		return func(nc net.Conn) {
			c := c.Clone()
			c.Certificates = []tls.Certificate{cert}
			tls.Server(nc, c).Handshake()
		}
	}
	tests := []struct {
		name string
		m    machine
		want string
	}{
		{"TLS 1.2", server(&tls.Config{MaxVersion: tls.VersionTLS12}), "open: TLS answer"},
		{"TLS 1.3 only", server(&tls.Config{MinVersion: tls.VersionTLS13}), "open: TLS answer"},
		{"TLS 1.2 with an RSA exchange only: an alert", server(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}), "open: TLS answer"},
		{"SSLv3 alert", func(nc net.Conn) { io.ReadFull(nc, make([]byte, 5)); nc.Write([]byte{0x15, 3, 0, 0, 2, 2, 40}) }, "open: TLS answer"},
		{"plain HTTP", func(nc net.Conn) {
			nc.Read(make([]byte, 1000))
			io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, `shut: answer "HTTP/1.1 400" is not TLS`},
		{"a short answer", func(nc net.Conn) { nc.Read(make([]byte, 1000)); nc.Write([]byte{0x16, 3, 3}) }, `shut: answer "\x16\x03\x03" is not TLS`},
		{"accept and hold", holds, "shut: no answer within 2s"},
		{"refused", nil, "shut: connect 10.0.0.1:443: connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newLab(t)
				defer b.close()
				b.set("10.0.0.1:443", tt.m)
				p := b.prober(at("10.0.0.1:443", tlsCheck()))
				p.start()
				b.sleep(2500 * time.Millisecond)
				p.stop()
				_, got, _ := strings.Cut(b.heard(), " A ")
				if !strings.HasPrefix(got, tt.want) {
					t.Errorf("%q, want %q", got, tt.want)
				}
			})
		})
	}
}

// The hello is well-formed in the eyes of crypto/tls, and offers both versions.
func TestClientHelloIsOne(t *testing.T) {
	hello := clientHello()
	if len(hello) > 300 {
		t.Errorf("%d bytes", len(hello))
	}
	var info *tls.ClientHelloInfo
	here, far := net.Pipe()
	defer here.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer far.Close()
		tls.Server(far, &tls.Config{GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
			info = i
			return nil, errors.New("seen")
		}}).Handshake()
	})
	if _, err := here.Write(hello); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, here)
	wg.Wait()
	if info == nil {
		t.Fatal("crypto/tls does not take it for a ClientHello")
	}
	if !slices.Contains(info.SupportedVersions, tls.VersionTLS13) || !slices.Contains(info.SupportedVersions, tls.VersionTLS12) {
		t.Errorf("versions %x", info.SupportedVersions)
	}
	if !slices.Contains(info.SupportedCurves, tls.X25519) || len(info.SignatureSchemes) < 8 || len(info.CipherSuites) < 10 {
		t.Errorf("%+v", info)
	}
	if info.ServerName != "" {
		t.Errorf("server name %q", info.ServerName)
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"x"}, NotAfter: time.Now().Add(1000 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func FuzzStatusOf(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK", "HTTP/1.0 404", "HTTP/1.1 20", "HTTP/2 200 OK\r", "HTTP/1.x 200", "HTTP/1.1 099", "HTTP/1.1  200", "ICY 200 OK  "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		status, ok := statusOf(b)
		if !ok {
			return
		}
		if got := fmt.Sprintf("HTTP/1.%c %03d", b[7], status); got != string(b[:12]) || status < 100 {
			t.Fatalf("%q reads as %d", b, status)
		}
	})
}
