package tlsconf

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/tlsconf/acmetest"
)

// TestMain lets more tests run at once than there are processors: most of them wait for a CA.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() == "" { // there it counts the workers
		flag.Set("test.parallel", "8")
	}
	goleak.VerifyTestMain(m, acmetest.Leaks()...)
}

// still is a watch that sees nothing.
func still(ctx context.Context, _ []string, _ func()) error {
	<-ctx.Done()
	return nil
}

// serve is New for a test, without a watch unless the test brings one.
func serve(t testing.TB, c *Config) *Certificates {
	t.Helper()
	certs, _ := serveLogged(t, c)
	return certs
}

func serveLogged(t testing.TB, c *Config) (*Certificates, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	if c.Watch == nil {
		c.Watch = still
	}
	certs, err := New(t.Context(), c, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(certs.Close)
	return certs, logs
}

// clientFor is a client that believes in m and names the host; "" names none.
func clientFor(m minted, host string) *tls.Config {
	c := &tls.Config{RootCAs: m.pool(), ServerName: host}
	if host == "" {
		c.InsecureSkipVerify = true
	}
	return c
}

func TestCertificateByName(t *testing.T) {
	ca := mintCA(nil, "root")
	dir := t.TempDir()
	one := mint(&ca, newKey(""), nil, "one.test")
	two := mint(&ca, newKey(""), nil, "two.test", "*.two.test")
	two.write(t, dir, "b.pem", ca.certPEM())
	one.write(t, dir, "a.pem")
	write(t, dir, "c.txt", "not read")
	write(t, dir, ".d.pem", "not read")
	if err := os.Mkdir(filepath.Join(dir, "e.pem"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		host   string
		strict bool
		want   *minted // nil: refused
	}{
		{"one.test", false, &one},
		{"two.test", false, &two},
		{"x.two.test", false, &two},
		{"X.Two.Test", false, &two},
		{"", false, &one},
		{"three.test", false, nil},
		{"x.one.test", false, nil},
		{"one.test", true, &one},
		{"", true, nil},
		{"three.test", true, nil},
	} {
		t.Run(fmt.Sprintf("%q strict=%v", tt.host, tt.strict), func(t *testing.T) {
			certs := serve(t, &Config{Certificate: dir, StrictSNI: tt.strict})
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				client := clientFor(ca, tt.host)
				client.MinVersion, client.MaxVersion = version, version
				cs, err, serverErr := shake(t, certs.Config(), client)
				switch {
				case tt.want == nil:
					if err == nil || !strings.Contains(err.Error(), "unrecognized name") || serverErr == nil {
						t.Errorf("%s: client %v, server %v; want unrecognized name", tls.VersionName(version), err, serverErr)
					}
				case err != nil:
					t.Errorf("%s: %v", tls.VersionName(version), err)
				case !cs.PeerCertificates[0].Equal(tt.want.cert):
					t.Errorf("%s: got %s", tls.VersionName(version), cs.PeerCertificates[0].Subject)
				}
			}
		})
	}
}

// TestUnknownNameAlert reads the alert off the wire: 112 and nothing else tells a client that the name is the mistake.
func TestUnknownNameAlert(t *testing.T) {
	certs := serve(t, &Config{Certificate: mint(nil, newKey(""), nil, "a.test").write(t, t.TempDir(), "a.pem")})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		a, b := net.Pipe()
		go func() {
			tls.Server(b, certs.Config()).Handshake()
			b.Close()
		}()
		wire := &tap{Conn: a}
		tls.Client(wire, &tls.Config{ServerName: "b.test", MinVersion: version, MaxVersion: version, InsecureSkipVerify: true}).Handshake()
		a.Close()
		const fatal, unrecognizedName = 2, 112
		if want := []byte{21, 3, 3, 0, 2, fatal, unrecognizedName}; !bytes.Equal(wire.got.Bytes(), want) {
			t.Errorf("%s: got % x, want % x", tls.VersionName(version), wire.got.Bytes(), want)
		}
	}
}

// tap keeps what is read.
type tap struct {
	net.Conn
	got bytes.Buffer
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.got.Write(b[:n])
	return n, err
}

// TestRSAAndECDSA: with both kinds of certificates for a name, each client gets the cheaper one it can use.
func TestRSAAndECDSA(t *testing.T) {
	rsa, ec := mint(nil, newKey("RSA"), nil, "a.test"), mint(nil, newKey(""), nil, "a.test")
	separate := t.TempDir()
	rsa.write(t, separate, "a-rsa.pem")
	ec.write(t, separate, "b-ecdsa.pem")
	united := write(t, t.TempDir(), "both.pem", rsa.certPEM()+rsa.keyPEM()+ec.certPEM()+ec.keyPEM())
	for _, at := range []string{separate, united} {
		certs := serve(t, &Config{Certificate: at})
		for _, host := range []string{"a.test", ""} {
			for _, tt := range []struct {
				client *tls.Config
				want   minted
			}{
				{&tls.Config{}, ec},
				{&tls.Config{MaxVersion: tls.VersionTLS12}, ec},
				{&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}, rsa},
			} {
				tt.client.ServerName, tt.client.InsecureSkipVerify = host, true
				cs, err, _ := shake(t, certs.Config(), tt.client)
				if err != nil {
					t.Errorf("%s, host %q: %v", at, host, err)
				} else if !cs.PeerCertificates[0].Equal(tt.want.cert) {
					t.Errorf("%s, host %q: got %v", at, host, cs.PeerCertificates[0].PublicKeyAlgorithm)
				}
			}
		}
	}
}

// TestALPN: HTTP/1.1 by default; other protocols where asked for; a relay takes what comes.
func TestALPN(t *testing.T) {
	m := mint(nil, newKey(""), nil, "a.test")
	certs := serve(t, &Config{Certificate: m.write(t, t.TempDir(), "a.pem")})
	if one, two := certs.Config(), certs.Config(); one != two || !one.DynamicRecordSizingDisabled {
		t.Error("Config is not one and the same, or sizes its records")
	}
	for _, tt := range []struct {
		server *tls.Config
		offers []string
		want   string
		ok     bool
	}{
		{certs.Config(), []string{"h2", "http/1.1"}, "http/1.1", true},
		{certs.Config(), nil, "", true},
		{certs.Config(), []string{"imap"}, "", false},
		{certs.ConfigFor("h2", "http/1.1"), []string{"http/1.1", "h2"}, "h2", true},
		{certs.ConfigFor(), []string{"imap"}, "", true},
	} {
		client := clientFor(m, "a.test")
		client.NextProtos = tt.offers
		cs, err, _ := shake(t, tt.server, client)
		if (err == nil) != tt.ok || cs.NegotiatedProtocol != tt.want {
			t.Errorf("%q to %q: got %q, %v", tt.offers, tt.server.NextProtos, cs.NegotiatedProtocol, err)
		}
	}
}

// TestOneBadFileLeavesTheOthers: hostile-input 102.
func TestOneBadFileLeavesTheOthers(t *testing.T) {
	dir := t.TempDir()
	good := mint(nil, newKey(""), nil, "good.test")
	good.write(t, dir, "b.pem")
	write(t, dir, "a.pem", good.certPEM()[:100])
	write(t, dir, "c.pem", good.certPEM())
	certs, logs := serveLogged(t, &Config{Certificate: dir})
	if _, err, _ := shake(t, certs.Config(), clientFor(good, "good.test")); err != nil {
		t.Error(err)
	}
	var files []string
	for _, e := range logs.FilterLevelExact(zapcore.ErrorLevel).All() {
		files = append(files, filepath.Base(e.ContextMap()["file"].(string)))
	}
	if !slices.Equal(files, []string{"a.pem", "c.pem"}) {
		t.Errorf("errors logged for %q, want a.pem and c.pem", files)
	}
	if got := certs.Names(); !slices.Equal(got, []string{"good.test"}) {
		t.Errorf("names %q", got)
	}
}

func TestNewRefuses(t *testing.T) {
	m, dir := mint(nil, newKey(""), nil, "a.test"), t.TempDir()
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{Config{}, "neither certificate nor internal"},
		{Config{Certificate: dir, Internal: true}, "both certificate and internal"},
		{Config{Internal: true, Hosts: []string{"a b"}}, `host "a b"`},
		{Config{Certificate: filepath.Join(dir, "none.pem")}, "none.pem: no such file"},
		{Config{Certificate: write(t, dir, "cert.pem", m.certPEM())}, "cert.pem: no private key inside"},
	} {
		tt.c.Name = "site"
		if certs, err := New(t.Context(), &tt.c, nil); err == nil {
			certs.Close()
			t.Errorf("%+v: accepted", tt.c)
		} else if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), `tls "site": `) {
			t.Errorf("got %q, want %q", err, tt.want)
		}
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	ca := mintCA(nil, "root")
	one, two := mint(&ca, newKey(""), nil, "One.Test", "192.0.2.1"), mint(&ca, newKey("RSA"), nil, "two.test")
	one.write(t, dir, "a.pem")
	two.write(t, dir, "b.pem")
	certs := serve(t, &Config{Certificate: dir})
	l := certs.List()
	if len(l) != 2 {
		t.Fatalf("got %d", len(l))
	}
	got := fmt.Sprintln(l[0].Names, l[0].Key, l[0].Issuer, l[0].State, l[0].Default, l[1].Names, l[1].Key, l[1].Default)
	if want := "[one.test 192.0.2.1] ECDSA P-256 CN=root valid true [two.test] RSA 2048 false\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if l[1].File != filepath.Join(dir, "b.pem") || !l[1].NotAfter.Equal(two.cert.NotAfter) {
		t.Errorf("got %+v", l[1])
	}
	if got := certs.Names(); !slices.Equal(got, []string{"192.0.2.1", "one.test", "two.test"}) {
		t.Errorf("names %q", got)
	}
}

// TestLookupDoesNotAllocate: the callback runs on the engine's loops, once per handshake, whoever knocks.
func TestLookupDoesNotAllocate(t *testing.T) {
	dir := t.TempDir()
	mint(nil, newKey(""), nil, "a.test", "*.w.test").write(t, dir, "a.pem")
	mint(nil, newKey("RSA"), nil, "a.test").write(t, dir, "b.pem")
	certs := serve(t, &Config{Certificate: dir})
	var hello *tls.ClientHelloInfo
	spy := certs.Config().Clone()
	spy.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		hello = h
		return certs.certificate(h)
	}
	if _, err, _ := shake(t, spy, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.test", "A.Test", "some.w.test", "unknown.test", ""} {
		h := *hello
		h.ServerName = name
		if n := testing.AllocsPerRun(100, func() { certs.certificate(&h) }); n != 0 {
			t.Errorf("%q: %v allocations", name, n)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	dir := b.TempDir()
	mint(nil, newKey(""), nil, "a.test", "*.w.test").write(b, dir, "a.pem")
	certs := serve(b, &Config{Certificate: dir})
	hello := &tls.ClientHelloInfo{ServerName: "Some.W.Test"}
	b.ReportAllocs()
	for b.Loop() {
		certs.certificate(hello)
	}
}

// TestOpenSSL: the same answers for a client that is not Go's.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("GATEHOUSE_TEST_ALL") == "1" {
			t.Fatal("openssl is not on PATH")
		}
		t.Skip("openssl is not on PATH: the handshake with another library was not tested")
	}
	dir := t.TempDir()
	ca := mintCA(nil, "root")
	mid := mintCA(&ca, "mid")
	m := mint(&mid, newKey("RSA"), nil, "a.test")
	// The chain in the wrong order, and the key first.
	at := write(t, dir, "a.pem", m.keyPEM()+mid.certPEM()+dhParams+m.certPEM())
	roots := write(t, dir, "ca.crt", ca.certPEM())
	certs := serve(t, &Config{Certificate: at})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			c := tls.Server(nc, certs.Config())
			c.Handshake()
			c.Close()
		}
	}()
	defer func() {
		l.Close()
		<-served
	}()
	for _, tt := range []struct {
		args, want string
		ok         bool
	}{
		{"-servername a.test -verify_hostname a.test", "Verify return code: 0 (ok)", true},
		{"-servername a.test -verify_hostname a.test -tls1_2", "Verify return code: 0 (ok)", true},
		{"-noservername", "Verify return code: 0 (ok)", true},
		{"-servername b.test", "alert number 112", false},
		{"-servername b.test -tls1_2", "alert number 112", false},
		{"-servername a.test -tls1_1", "alert", false},
		{"-servername a.test -tls1_2 -cipher ECDHE-RSA-AES128-SHA", "alert handshake failure", false},
		{"-servername a.test -alpn h2,http/1.1", "ALPN protocol: http/1.1", true},
	} {
		args := append([]string{"s_client", "-connect", l.Addr().String(), "-CAfile", roots, "-verify_return_error"}, strings.Fields(tt.args)...)
		out, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput() // its input is empty: it leaves at once
		if (err == nil) != tt.ok || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: got %v, want %q in\n%s", tt.args, err, tt.want, out)
		}
	}
}

// roots is a pool of what a PEM text holds.
func roots(t *testing.T, text []byte) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate in %q", text)
	}
	return p
}
