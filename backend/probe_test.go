package backend

import (
	"bytes"
	"context"
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
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/loop"
)

// machine is a server in memory: what it does with a connection. It closes the connection afterwards.
type machine func(nc net.Conn)

// lab is a network of machines by address, and a record of what probers do in it.
type lab struct {
	t *testing.T
	l *loop.Loop

	mu       sync.Mutex // guards what follows; machines run in goroutines
	machines map[string]machine
	dials    []string // "ms address", since the lab began
	changes  []string // "ms server health: why"
	from     []netip.Addr
	begin    time.Time
	running  sync.WaitGroup
}

func newLab(t *testing.T) *lab {
	b := &lab{t: t, l: loop.NewMem(0), machines: map[string]machine{}, begin: time.Now()}
	b.l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
	return b
}

func (b *lab) ms() int64 { return time.Since(b.begin).Milliseconds() }

// set puts a machine at an address; nil takes it away: connections are refused.
func (b *lab) set(addr string, m machine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.machines[addr] = m
}

// dial connects to a machine.
func (b *lab) dial(l *loop.Loop, d loop.Dial) (*loop.Conn, error) {
	b.mu.Lock()
	b.dials = append(b.dials, fmt.Sprintf("%d %s", b.ms(), d.To))
	b.from = append(b.from, d.From)
	m, there := b.machines[d.To.String()]
	b.mu.Unlock()
	if !there { // a black hole
		l.Sleep(d.Timeout)
		return nil, os.ErrDeadlineExceeded
	}
	if m == nil {
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	here, far := net.Pipe()
	b.running.Go(func() {
		defer far.Close()
		m(far)
	})
	return l.Adapt(here, netip.AddrPort{}, d.To.AddrPort), nil
}

func (b *lab) changed(server int, health standing, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes = append(b.changes, fmt.Sprintf("%d %s %v: %s", b.ms(), letter(server), health, why))
}

// heard returns the changes so far and forgets them.
func (b *lab) heard() (s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s = strings.Join(b.changes, " | ")
	b.changes = nil
	return s
}

func (b *lab) dialled() (d []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, b.dials = b.dials, nil
	return d
}

// sleep lets time pass.
func (b *lab) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *lab) prober(targets ...target) *prober {
	return newProber(b.l, b.dial, nil, 2*time.Second, targets, b.changed)
}

// close stops what runs and waits for it.
func (b *lab) close() {
	b.l.Stop()
	b.running.Wait()
}

func at(addr string, checks ...*Check) target {
	a, err := loop.ParseAddr(addr)
	if err != nil {
		panic(err)
	}
	return target{address: func() loop.Addr { return a }, checks: checks}
}

// httpCheck is the guide's check with its defaults.
func httpCheck() *Check {
	return &Check{Request: "HEAD /index.html HTTP/1.0", Expect: []Statuses{{200, 299}, {300, 399}}, Interval: 2 * time.Second, Rise: 2, Fall: 3}
}

func tcpCheck() *Check {
	return &Check{Kind: CheckTCP, Interval: 2 * time.Second, Rise: 2, Fall: 3}
}

func tlsCheck() *Check {
	return &Check{Kind: CheckTLS, Interval: 2 * time.Second, Rise: 2, Fall: 3}
}

// says answers every request head with s.
func says(s string) machine {
	return func(nc net.Conn) {
		if _, err := readHead(nc); err == nil && s != "" {
			io.WriteString(nc, s)
		}
	}
}

// readHead reads until an empty line.
func readHead(nc net.Conn) (head string, err error) {
	b := make([]byte, 1)
	for !strings.HasSuffix(head, "\r\n\r\n") {
		if _, err := nc.Read(b); err != nil {
			return head, err
		}
		head += string(b)
	}
	return head, nil
}

// holds takes what comes and says nothing.
func holds(nc net.Conn) { io.Copy(io.Discard, nc) }

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

// AT-4.1, AT-4.4 with the guide's inter 2000 rise 2 fall 2: a stopped server is out after two checks, and back after two.
func TestProberLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		const a = "192.168.1.11:80"
		ok, gone := says("HTTP/1.0 200 OK\r\n\r\n"), says("HTTP/1.0 404 Not Found\r\n\r\n")
		c := httpCheck()
		c.Fall, c.OnFail = 2, OnFailDrain
		b.set(a, ok)
		p := b.prober(at(a, c))
		p.start()
		b.sleep(time.Second)
		if got := b.heard(); got != "0 A open: HTTP status 200 after 0 ms" {
			t.Errorf("at the start: %q", got)
		}
		b.set(a, gone)
		b.sleep(2 * time.Second) // one bad check at 2 s
		if got := b.heard(); got != "" {
			t.Errorf("after one bad check: %q", got)
		}
		b.sleep(2 * time.Second)
		if got := b.heard(); !strings.HasSuffix(got, " A failing: HTTP status 404, expected 2xx or 3xx, after 0 ms") {
			t.Errorf("after two bad checks: %q", got)
		}
		b.set(a, ok)
		b.sleep(2 * time.Second)
		if got := b.heard(); got != "" {
			t.Errorf("after one good check: %q", got)
		}
		b.sleep(2 * time.Second)
		if got := b.heard(); !strings.HasSuffix(got, " A open: HTTP status 200 after 0 ms") {
			t.Errorf("after two good checks: %q", got)
		}
		p.stop()
	})
}

// All first checks at once; then each in its own rhythm, never faster than configured (AT-4.8).
func TestProberRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		var targets []target
		for i := range 4 {
			a := fmt.Sprintf("10.0.0.%d:80", i)
			b.set(a, holds)
			targets = append(targets, at(a, tcpCheck()))
		}
		p := b.prober(targets...)
		p.start()
		b.sleep(time.Millisecond)
		first := b.dialled()
		if want := []string{"0 10.0.0.0:80", "0 10.0.0.1:80", "0 10.0.0.2:80", "0 10.0.0.3:80"}; !slices.Equal(first, want) {
			t.Errorf("first checks %q", first)
		}
		b.sleep(time.Minute)
		times := map[string][]int{}
		for _, d := range b.dialled() {
			var ms int
			var a string
			fmt.Sscan(d, &ms, &a)
			times[a] = append(times[a], ms)
		}
		phases := map[int]bool{}
		for a, ms := range times {
			if len(ms) < 28 || len(ms) > 30 {
				t.Errorf("%s: %d checks in a minute, want 29 or 30", a, len(ms))
			}
			for i := range ms[1:] {
				if gap := ms[i+1] - ms[i]; gap < 1940 || gap > 2060 { // the timers' tick is 50 ms
					t.Errorf("%s: %d ms between checks", a, gap)
				}
			}
			phases[ms[0]] = true
		}
		if len(phases) < 4 {
			t.Errorf("after the first check still together: %v", times)
		}
		p.stop()
	})
}

func TestProberUsesAddressPortAndSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		port, addr := tcpCheck(), tcpCheck()
		port.Port = 81
		other := loop.Addr{AddrPort: netip.MustParseAddrPort("10.9.9.9:99")}
		addr.Address = &other
		both := tcpCheck()
		both.Address, both.Port = &other, 7
		x := at("10.0.0.1:80", port, addr, both)
		x.source = netip.MustParseAddr("10.1.2.1")
		for _, a := range []string{"10.0.0.1:81", "10.9.9.9:99", "10.9.9.9:7"} {
			b.set(a, holds)
		}
		p := b.prober(x)
		p.start()
		b.sleep(time.Millisecond)
		if got := b.dialled(); !slices.Equal(got, []string{"0 10.0.0.1:81", "0 10.9.9.9:99", "0 10.9.9.9:7"}) {
			t.Errorf("%q", got)
		}
		for _, f := range b.from {
			if f != x.source {
				t.Errorf("from %v", f)
			}
		}
		if got := b.heard(); got != "0 A open: connected after 0 ms" {
			t.Errorf("%q", got)
		}
		p.stop()
	})
}

// Names: of the traffic, they are looked up by the pool, and checks wait for that; in a check, it looks them up itself.
func TestProberWaitsForNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		b.set("10.0.0.7:80", holds)
		b.set("10.0.0.8:80", holds)
		name, _ := loop.ParseAddr("app.internal:80")
		lit, _ := loop.ParseAddr("10.0.0.7:80")
		begin := time.Now()
		late := target{checks: []*Check{tcpCheck()}, address: func() loop.Addr {
			if time.Since(begin) < 500*time.Millisecond {
				return name
			}
			return lit
		}}
		never := target{checks: []*Check{tcpCheck()}, address: func() loop.Addr { return name }}
		c, bad := tcpCheck(), tcpCheck()
		other, _ := loop.ParseAddr("other.internal:80")
		nowhere, _ := loop.ParseAddr("nowhere.internal:80")
		c.Address, bad.Address = &other, &nowhere
		p := newProber(b.l, b.dial, func(ctx context.Context, host string) ([]netip.Addr, error) {
			if host == "other.internal" {
				return []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.8")}, nil
			}
			return nil, nil
		}, 0, []target{late, never, at("10.0.0.9:80", c), at("10.0.0.9:80", bad)}, b.changed)
		p.start()
		b.sleep(2100 * time.Millisecond)
		p.stop()
		got := b.heard()
		for _, want := range []string{"0 C open: connected", "A open: connected", "B shut: the name app.internal is not resolved within 2s", "0 D shut: the name nowhere.internal has no address"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q, want it to say %q", got, want)
			}
		}
		if !strings.Contains(got, "| 500 A open") {
			t.Errorf("A was not up as soon as its name was known: %q", got)
		}
	})
}

// A check without its own timeout takes the backend's, or its interval if that is shorter.
func TestProberTimeouts(t *testing.T) {
	tests := []struct {
		own, limit, interval, want time.Duration
	}{
		{0, 2 * time.Second, 5 * time.Second, 2 * time.Second},
		{0, 2 * time.Second, time.Second, time.Second},
		{0, 0, 3 * time.Second, 3 * time.Second},
		{0, -1, 3 * time.Second, 3 * time.Second},
		{4 * time.Second, 2 * time.Second, time.Second, 4 * time.Second},
	}
	for _, tt := range tests {
		p := newProber(nil, nil, nil, tt.limit, []target{at("10.0.0.1:80", &Check{Timeout: tt.own, Interval: tt.interval})}, nil)
		if got := p.rounds[0].wait; got != tt.want {
			t.Errorf("%v: %v, want %v", tt, got, tt.want)
		}
	}
}

// Health known from before a reload counts at once, and only changes are told.
func TestProberCarriesHealthOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		b.set("10.0.0.1:80", holds)
		b.set("10.0.0.2:80", holds)
		up, down := at("10.0.0.1:80", tcpCheck()), at("10.0.0.2:80", tcpCheck())
		up.carried, up.health = true, open
		down.carried, down.health = true, shut
		p := b.prober(up, down)
		p.start()
		b.sleep(time.Second)
		if got := b.heard(); got != "" {
			t.Errorf("after the first check: %q", got)
		}
		b.sleep(2 * time.Second)
		if got := b.heard(); !strings.HasSuffix(got, " B open: connected after 0 ms") {
			t.Errorf("after the second: %q", got)
		}
		p.stop()
	})
}

// After stop nothing is checked and nobody is told anything, whatever was under way.
func TestProberStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		b.set("10.0.0.1:80", holds)                           // under way: waits for an answer
		b.set("10.0.0.2:80", says("HTTP/1.0 200 OK\r\n\r\n")) // between checks
		p := b.prober(at("10.0.0.1:80", httpCheck()), at("10.0.0.2:80", httpCheck()), at("10.0.0.3:80", httpCheck()) /* dials */)
		p.start()
		b.sleep(time.Second)
		b.heard()
		b.dialled()
		p.stop()
		b.sleep(time.Millisecond)
		idle := func() (busy int) {
			done := make(chan struct{})
			b.l.Post(func() { all, free := b.l.Coroutines(); busy = all - free; close(done) })
			<-done
			return busy
		}
		if got := idle(); got != 1 {
			t.Errorf("%d tasks right after stop, want the one that dials", got)
		}
		b.sleep(10 * time.Second)
		if got := idle(); got != 0 {
			t.Errorf("%d tasks are left", got)
		}
		if got := b.heard(); got != "" {
			t.Errorf("heard after stop: %q", got)
		}
		if got := b.dialled(); len(got) != 0 {
			t.Errorf("checked after stop: %q", got)
		}
		p.stop() // again is harmless
		b.sleep(time.Millisecond)
	})
}

func TestProberStoppedBeforeItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t)
		defer b.close()
		p := b.prober(at("10.0.0.1:80", tcpCheck()))
		p.stop()
		p.start()
		b.sleep(time.Minute)
		if got := b.dialled(); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
}

// On real sockets the words are the same.
func TestProberOnTheRealNetwork(t *testing.T) {
	l, err := loop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer up.Close()
	wg.Go(func() {
		for {
			nc, err := up.Accept()
			if err != nil {
				return
			}
			says("HTTP/1.0 200 OK\r\n\r\nmore that nobody reads")(nc)
			nc.Close()
		}
	})
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := down.Addr().String()
	down.Close()

	heard := make(chan string, 2)
	p := newProber(l, (*loop.Loop).Dial, nil, 2*time.Second, []target{at(up.Addr().String(), httpCheck()), at(refused, httpCheck())},
		func(server int, health standing, why string) { heard <- fmt.Sprintf("%s %v: %s", letter(server), health, why) })
	p.start()
	defer p.stop()
	got := []string{<-heard, <-heard}
	slices.Sort(got)
	if !strings.HasPrefix(got[0], "A open: HTTP status 200 after ") || got[1] != "B shut: connect "+refused+": connection refused" {
		t.Errorf("%q", got)
	}
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
