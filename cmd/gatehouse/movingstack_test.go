package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// movingStack is a pile of old programs: their configurations, and what starts them.
type movingStack struct {
	programs []string // that must be there
	// files are the configurations, by the flag of "gatehouse convert" that takes them. In them, words in capitals stand for addresses
	// and files: see movingPlace.
	files  map[string]string
	start  func(p *movingPlace) (stop func())
	cookie func(server string) string
	open   bool   // there is a port without TLS that leads to the servers
	host   string // of requests
	// differences are what gatehouse does differently, with the reason, by step and then by what is different. A line that begins with
	// "-" is the old programs', with "+" gatehouse's; "*" ends a beginning. Both sides of each must be there, and nothing else may.
	differences []movingDifference
}

// movingPlace is where a stack lives: a directory, an address of the loopback nobody else has, and ports of it.
type movingPlace struct {
	testing.TB
	dir   string
	words map[string]string
}

// newMovingPlace fills a directory with a stack's files. Its servers exist already.
func newMovingPlace(t testing.TB, s *movingStack, host string, site *movingSite) *movingPlace {
	t.Helper()
	// Programs that change their user must be able to reach it, which they cannot below t.TempDir.
	dir, err := os.MkdirTemp("", "moving")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &movingPlace{TB: t, dir: dir, words: map[string]string{"DIR": dir, "SECURE": freePort(t, host), "OPEN": freePort(t, host), "INNER": freePort(t, host), "PEM": filepath.Join(dir, "site.pem")}}
	for _, o := range site.servers {
		p.words["SERVER"+o.name] = o.addr
	}
	p.certificate(s.host)
	if err := os.Mkdir(filepath.Join(dir, "cache"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, filepath.Join(dir, "cache")} { // whatever the umask
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := s.files["apache"]; ok {
		p.words["MODULES"] = modulesOf(t)
	}
	for name, text := range s.files {
		p.write(name+".conf", text)
	}
	return p
}

// ownLoopback returns an address of the loopback network that nobody else will have.
func ownLoopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+mathrand.IntN(250), mathrand.IntN(250), 2+mathrand.IntN(250))
}

// freePort returns an address whose port nobody has now.
func freePort(t testing.TB, host string) string {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// path returns the path of a file of the place.
func (p *movingPlace) path(name string) string { return filepath.Join(p.dir, name) }

// write writes a file, with the words in capitals replaced.
func (p *movingPlace) write(name, text string) {
	p.Helper()
	for word, value := range p.words {
		text = strings.ReplaceAll(text, word, value)
	}
	if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
		p.Fatal(err)
	}
}

// certificate writes a certificate with its key.
func (p *movingPlace) certificate(host string) {
	p.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		p.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(p.words["PEM"], text, 0o600); err != nil {
		p.Fatal(err)
	}
}

// run starts a program and returns what ends it. What it said is shown if the test fails.
func (p *movingPlace) run(name string, args ...string) (stop func()) {
	p.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said movingBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cmd.Process.Signal(syscall.SIGTERM)
			stubborn := time.AfterFunc(5*time.Second, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
			cmd.Wait()
			stubborn.Stop()
			if p.Failed() {
				p.Logf("%s said:\n%s", filepath.Base(name), said.String())
			}
		})
	}
	p.Cleanup(stop)
	return stop
}

// movingBuffer is a buffer for several writers.
type movingBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *movingBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *movingBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var _ io.Writer = (*movingBuffer)(nil)

// program finds a program that may have several names, "" for none.
func program(names ...string) string {
	for _, name := range names {
		for _, dir := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} { // which users often have not in their PATH
			if path, err := exec.LookPath(dir + name); err == nil {
				return path
			}
		}
	}
	return ""
}

// stunnelAndHAProxy is the guide's section 3.1, in what today's versions of both understand: stunnel tells the client's address by the
// PROXY protocol, which took the place of the patch for X-Forwarded-For.
var stunnelAndHAProxy = movingStack{
	programs: []string{"stunnel4", "haproxy"},
	host:     "shop.test",
	open:     true,
	cookie:   func(server string) string { return "SERVERID=" + server },
	files: map[string]string{
		"stunnel": `; the TLS end
foreground = yes
pid =
cert = PEM
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1

[https]
accept = SECURE
connect = INNER
protocol = proxy
`,
		"haproxy": `global
    maxconn 1000

defaults
    mode http
    retries 3
    option redispatch
    timeout connect 1s
    timeout client 10s
    timeout server 10s

listen webfarm
    bind OPEN
    bind INNER accept-proxy
    balance roundrobin
    option forwardfor
    acl admin path_beg /admin/
    acl secure path_beg /secure/
    http-request deny if admin
    http-request redirect location https://shop.test/sign-in if secure
    http-request set-header X-Real-IP %[src]
    http-request del-header X-Debug
    http-response set-header X-Frame-Options DENY
    http-response del-header Server
    cookie SERVERID insert indirect nocache
    option httpchk HEAD /index.html HTTP/1.0
    server webA SERVERA cookie A check inter 200 rise 1 fall 2
    server webB SERVERB cookie B check inter 200 rise 1 fall 2
`},
	start: func(p *movingPlace) func() {
		haproxy := p.run(program("haproxy"), "-db", "-f", p.path("haproxy.conf"))
		stunnel := p.run(program("stunnel4", "stunnel"), p.path("stunnel.conf"))
		return func() {
			stunnel()
			haproxy()
		}
	},
	differences: fromStunnelAndHAProxy,
}

// apacheAlone is Apache as the TLS end, the cache and the balancer with sticky sessions.
var apacheAlone = movingStack{
	programs: []string{"apache2"},
	host:     "shop.test",
	cookie:   func(server string) string { return "ROUTEID=." + server },
	files: map[string]string{
		"apache": `ServerRoot DIR
PidFile DIR/apache.pid
DefaultRuntimeDir DIR
Mutex fcntl:DIR
User #65534
Group #65534
ServerName shop.test
ServerLimit 4
LoadModule mpm_event_module MODULES/mod_mpm_event.so
LoadModule authz_core_module MODULES/mod_authz_core.so
LoadModule ssl_module MODULES/mod_ssl.so
LoadModule headers_module MODULES/mod_headers.so
LoadModule alias_module MODULES/mod_alias.so
LoadModule rewrite_module MODULES/mod_rewrite.so
LoadModule proxy_module MODULES/mod_proxy.so
LoadModule proxy_http_module MODULES/mod_proxy_http.so
LoadModule proxy_balancer_module MODULES/mod_proxy_balancer.so
LoadModule slotmem_shm_module MODULES/mod_slotmem_shm.so
LoadModule lbmethod_byrequests_module MODULES/mod_lbmethod_byrequests.so
LoadModule cache_module MODULES/mod_cache.so
LoadModule cache_disk_module MODULES/mod_cache_disk.so
ErrorLog DIR/error.log
Listen OPEN
Listen SECURE

<VirtualHost OPEN>
    ServerName shop.test
    RewriteEngine On
    RewriteRule ^ https://shop.test%{REQUEST_URI} [R=301,L]
</VirtualHost>

<VirtualHost SECURE>
    ServerName shop.test
    SSLEngine on
    SSLCertificateFile PEM
    CacheEnable disk /
    CacheRoot DIR/cache
    ProxyTimeout 10
    RequestHeader set X-Forwarded-Proto https
    RequestHeader unset X-Debug
    Header always set X-Frame-Options DENY
    Header unset Server
    Header add Set-Cookie "ROUTEID=.%{BALANCER_WORKER_ROUTE}e; path=/" env=BALANCER_ROUTE_CHANGED
    <Proxy "balancer://app">
        BalancerMember http://SERVERA route=A retry=1
        BalancerMember http://SERVERB route=B retry=1
        ProxySet stickysession=ROUTEID
    </Proxy>
    ProxyPreserveHost On
    ProxyPass / balancer://app/
    ProxyPassReverse / balancer://app/
</VirtualHost>
`},
	start: func(p *movingPlace) func() {
		return p.run(program("apache2", "httpd"), "-f", p.path("apache.conf"), "-DFOREGROUND")
	},
	differences: fromApache,
}
