package house_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// program finds a program of the machine, or skips the test: where everything has to be tested, it fails.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("GATEHOUSE_TEST_ALL") == "1" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// launch runs a program until the test ends. It inherits ln, if not nil, as descriptor 3.
func launch(t testing.TB, ln net.Listener, name string, args ...string) (stdin io.WriteCloser, stdout *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	if ln != nil {
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said.String())
		}
	})
	return stdin, bufio.NewReader(out)
}

// haproxy runs HAProxy with a configuration in which fd@3 is a listening socket, whose address it returns.
func haproxy(t testing.TB, config string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	config = "defaults\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n" + config
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, ln, "haproxy", "-db", "-f", file)
	return ln.Addr().String()
}

// TestHAProxyAnnounces: HAProxy in front sends PROXY headers, and the client behind it is known.
func TestHAProxyAnnounces(t *testing.T) {
	for _, send := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id,crc32c"} {
		for _, mode := range []string{"http", "tcp"} {
			o := newOrigin(t, nil)
			r, book := site(t, `
listen "www" {
  mode = "`+mode+`"
  log  = log.access
  bind "127.0.0.1:1" { accept_proxy = ["127.0.0.1"] }
  server "A" "`+o.addr+`" {}
}`)
			addr := haproxy(t, `
listen front
 mode tcp
 unique-id-format %pid
 bind fd@3
 server gatehouse `+r.addr+" "+send+"\n")
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
			nc, err := d.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			w := newWire(t, nc)
			if a := w.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); a.status != 200 {
				t.Errorf("%s, %s: got %d", send, mode, a.status)
			}
			nc.Close()
			if line := book.next(t); !strings.HasPrefix(line, nc.LocalAddr().String()+" ") {
				t.Errorf("%s, %s: logged %s, want the client %s", send, mode, line, nc.LocalAddr())
			}
			if fwd := "X-Forwarded-For: 127.0.0.9\r\n"; mode == "http" && !strings.Contains(o.seen(), fwd) {
				t.Errorf("%s: the server got %q", send, o.seen())
			}
			r.shutdown(0)
		}
	}
}

// TestHAProxyAnnouncesUnderEverything: the header of HAProxy comes before TLS, before HTTP/2 in the clear and under TLS, before TLS that goes on
// to a server as it is, and on a unix socket.
func TestHAProxyAnnouncesUnderEverything(t *testing.T) {
	behind, o := newOrigin(t, nil), newOrigin(t, nil)
	inner := build(t, plan{tls: true, servers: []*origin{behind}}) // a server that speaks TLS
	file := filepath.Join(t.TempDir(), "s")
	front := func(name, bind, more string) string {
		return "listen \"" + name + "\" {\n log = log.access\n bind " + bind + "\n" + more + "\n}\n"
	}
	const accepting = "accept_proxy = [\"127.0.0.1\"]"
	server := "server \"A\" \"" + o.addr + "\" {}"
	for _, x := range []struct {
		name, text string
		tls, h2    bool
		where      string // "" for its address
	}{
		{"plain", front("www", `"127.0.0.1:1" { `+accepting+` }`, server), false, false, ""},
		{"TLS", front("www", "\"127.0.0.1:1\" {\n"+accepting+"\ntls = tls.own\nprotocols = [\"http/1.1\"]\n}", "hosts = [\"a.test\"]\n"+server), true, false, ""},
		{"HTTP/2 under TLS", front("www", "\"127.0.0.1:1\" {\n"+accepting+"\ntls = tls.own\n}", "hosts = [\"a.test\"]\n"+server), true, true, ""},
		{"HTTP/2 in the clear", front("www", "\"127.0.0.1:1\" {\n"+accepting+"\nprotocols = [\"h2\"]\n}", server), false, true, ""},
		{"a relay", front("www", `"127.0.0.1:1" { `+accepting+` }`, "mode = \"tcp\"\n"+server), false, false, ""},
		{"a relay of TLS and HTTP/2", front("www", `"127.0.0.1:1" { `+accepting+` }`, "mode = \"tcp\"\nserver \"A\" \""+inner.addr+"\" {}"), true, true, ""},
		{"a relay by name", front("www", `"127.0.0.1:1" { `+accepting+` }`, "mode = \"tcp\"\nhosts = [\"a.test\"]\nserver \"A\" \""+inner.addr+"\" {}"), true, true, ""},
		{"a unix socket", front("www", `"unix:`+file+`" { accept_proxy = ["0.0.0.0/0"] }`, server), false, false, "unix@" + file},
	} {
		for _, send := range []string{"send-proxy", "send-proxy-v2"} {
			r, book := site(t, "tls \"own\" { internal = true }\n"+x.text)
			where := x.where
			if where == "" {
				where = r.addr
			}
			addr := haproxy(t, "\nlisten front\n mode tcp\n bind fd@3\n server gatehouse "+where+" "+send+"\n")
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
			var local string
			tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
			tr.Protocols.SetHTTP1(!x.h2)
			tr.Protocols.SetHTTP2(x.h2)
			tr.Protocols.SetUnencryptedHTTP2(x.h2)
			tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				nc, err := d.DialContext(ctx, "tcp", addr)
				if err == nil {
					local = nc.LocalAddr().String()
				}
				return nc, err
			}
			url := "http://a.test/"
			if x.tls {
				url = "https://a.test/"
			}
			resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get(url)
			if err != nil {
				t.Errorf("%s, %s: %v", x.name, send, err)
				r.shutdown(0)
				continue
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			tr.CloseIdleConnections()
			if resp.StatusCode != 200 || (resp.ProtoMajor == 2) != x.h2 {
				t.Errorf("%s, %s: %s %s", x.name, send, resp.Proto, resp.Status)
			}
			if line := book.next(t); !strings.HasPrefix(line, local+" ") {
				t.Errorf("%s, %s: logged %s, want the client %s", x.name, send, line, local)
			}
			r.shutdown(0)
		}
	}
}

// TestHAProxyIsTold: HAProxy as a server understands our PROXY headers, those of checks too.
func TestHAProxyIsTold(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		for _, mode := range []string{"http", "tcp"} {
			addr := haproxy(t, `
frontend told
 mode http
 bind fd@3 accept-proxy
 http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port]"
`)
			r, _ := site(t, `
listen "www" {
  mode = "`+mode+`"
  bind "127.0.0.1:1" {}
  check "http" {}
  server "A" "`+addr+`" { send_proxy = "`+version+`" }
}`)
			<-r.h.Pool("www").Ready()
			w := r.connect(0)
			want := w.Conn.LocalAddr().String() + " " + r.addr
			if a := w.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); a.body != want {
				t.Errorf("%s, %s: HAProxy was told %q, want %q", version, mode, a.body, want)
			}
			r.shutdown(0)
		}
	}
}

// TestOpenSSLServer: OpenSSL's server is spoken to over TLS, by requests and by checks.
func TestOpenSSLServer(t *testing.T) {
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		ca := newAuthority(t)
		pair := writePair(t, ca.issue(t, "app.test"))
		_, out := launch(t, nil, "openssl", "s_server", version, "-accept", "127.0.0.1:0", "-cert", pair, "-key", pair, "-www")
		addr := ""
		for accept := regexp.MustCompile(`^ACCEPT (\S+:\d+)`); addr == ""; {
			line, err := out.ReadString('\n')
			if m := accept.FindStringSubmatch(line); m != nil {
				addr = m[1]
			} else if err != nil {
				t.Fatalf("s_server: %q, %v", line, err)
			}
		}
		go io.Copy(io.Discard, out)
		for _, check := range []string{`check "http" { request = "GET /" }`, `check "tls" {}`, `check "tcp" {}`} {
			r, _ := site(t, fmt.Sprintf(`
listen "www" {
  bind "127.0.0.1:1" {}
  %s
  server "A" %q {
    tls {
      ca          = %q
      server_name = "app.test"
    }
  }
}`, check, addr, ca.file))
			<-r.h.Pool("www").Ready()
			a := r.connect(0).ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
			if want := strings.NewReplacer("-tls", "TLSv", "_", ".").Replace(version); a.status != 200 || !strings.Contains(a.body, want) {
				t.Errorf("%s: got %d, %.300q; want %s in it", check, a.status, a.body, want)
			}
			r.shutdown(0)
		}
	}
}

// TestOpenSSLClient: OpenSSL's client gets through a relay behind TLS, and through one that leaves the TLS to the server.
func TestOpenSSLClient(t *testing.T) {
	o := newOrigin(t, func(w *wire) {
		if line, err := w.r.ReadString('\n'); err == nil {
			w.send(strings.ToUpper(line))
		}
	})
	cert := selfSigned(t, "b.test")
	own := newOrigin(t, func(w *wire) {
		tc := tls.Server(w.Conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		defer tc.Close()
		if line, err := bufio.NewReader(tc).ReadString('\n'); err == nil {
			io.WriteString(tc, strings.ToUpper(line))
		}
	})
	r, _ := site(t, `
tls "own" {
  internal = true
  hosts    = ["a.test"]
}
listen "ended" {
  mode = "tcp"
  bind "127.0.0.1:1" { tls = tls.own }
  server "A" "`+o.addr+`" {}
}
listen "through" {
  mode  = "tcp"
  hosts = ["b.test"]
  bind "127.0.0.2:1" {}
  server "A" "`+own.addr+`" {}
}`)
	for i, name := range []string{"a.test", "b.test"} {
		in, out := launch(t, nil, "openssl", "s_client", "-connect", r.h.Addresses()[i].String(), "-servername", name, "-quiet", "-verify_quiet")
		io.WriteString(in, "hello from openssl\n")
		if line, err := out.ReadString('\n'); line != "HELLO FROM OPENSSL\n" {
			t.Errorf("%s: got %q, %v", name, line, err)
		}
	}
}
