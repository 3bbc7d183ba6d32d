package house_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// mirror is a server whose answer is the request's header, a line each, with its trailer.
func mirror(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Strict-Transport-Security", "max-age=1; preload")
		for _, h := range []http.Header{r.Header, r.Trailer} {
			for name, values := range h {
				for _, v := range values {
					fmt.Fprintf(w, "%s: %s\n", name, v)
				}
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// showing connects by TLS to the socket of that name, asks for a host, and shows a certificate if there is one. The version is the newest
// where a handshake ends before the server has seen the certificate: then err comes with the first read.
func (s *lodge) showing(socket, host string, c *tls.Certificate, sessions tls.ClientSessionCache) (*wire, *tls.Conn, error) {
	s.Helper()
	nc, err := net.Dial("unix", s.path(socket))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { nc.Close() })
	config := &tls.Config{ServerName: host, InsecureSkipVerify: true, ClientSessionCache: sessions, MaxVersion: tls.VersionTLS12}
	if sessions != nil {
		config.MaxVersion = 0
	}
	if c != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
	}
	tc := tls.Client(nc, config)
	nc.SetDeadline(time.Now().Add(patience))
	if err := tc.Handshake(); err != nil {
		return nil, nil, err
	}
	return newWire(s.TB, tc), tc, nil
}

// issueClient issues a client's certificate.
func (a *authority) issueClient(t testing.TB, name pkix.Name) *tls.Certificate {
	t.Helper()
	cert, key := sign(t, &x509.Certificate{Subject: name, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, a)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// guarded is a configuration with three hosts behind one address: "open.test", "staff.test", which requires certificates and names the client,
// and "strict.test". A second address is in the clear.
func guarded(pair, staff, upstream, more string) string {
	return `
tls "open" {
  certificate = "` + pair + `"
  hsts        = "730d"
}
tls "staff" {
  certificate = "` + pair + `"
  client_auth {
    ca = "` + staff + `"
    ` + more + `
    headers {
      verify      = "X-SSL-Client-Verify"
      subject     = "X-SSL-Client-DN"
      issuer      = "X-SSL-Client-Issuer"
      serial      = "X-SSL-Client-Serial"
      fingerprint = "X-SSL-Client-Fingerprint"
      certificate = "Client-Cert"
    }
  }
}
tls "strict" {
  certificate = "` + pair + `"
  strict_sni  = true
}
frontend "open" {
  hosts = ["open.test"]
  bind "unix:DIR/s" { tls = tls.open }
  bind "unix:DIR/clear" {}
  route {
    paths = ["/gone"]
    respond = 410
  }
  backend = backend.app
  underscore_headers = true
}
frontend "staff" {
  hosts = ["staff.test", "more.staff.test"]
  bind "unix:DIR/s" { tls = tls.staff }
  backend = backend.app
  underscore_headers = true
}
frontend "strict" {
  hosts = ["strict.test", "other.strict.test"]
  bind "unix:DIR/s" { tls = tls.strict }
  backend = backend.app
}
backend "app" {
  server "A" "` + upstream + `" {}
}
`
}

// siteFile is a certificate for the hosts of guarded.
func siteFile(t testing.TB) string {
	t.Helper()
	cert, key := sign(t, &x509.Certificate{DNSNames: []string{"open.test", "*.open.test", "staff.test", "*.staff.test", "strict.test", "*.strict.test"}}, newAuthority(t))
	return writePair(t, tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key})
}

// TestClientIdentity: servers are told who the client is, by this proxy alone.
func TestClientIdentity(t *testing.T) {
	staff := newAuthority(t)
	s := newLodge(t, guarded(siteFile(t), staff.file, mirror(t), ""))
	alice := staff.issueClient(t, pkix.Name{CommonName: "Alice, née \r\nX-Admin: 1", Organization: []string{"Example"}})
	forged := "X-SSL-Client-Verify: SUCCESS\r\nx-ssl-client-dn: CN=root\r\nX_SSL_Client_DN: CN=root\r\nX-Ssl_Client-Serial: 1\r\nX.SSL.Client.Fingerprint: 1\r\nclient-cert: :AA==:\r\nClient-Cert-Chain: :AA==:\r\n"

	w, _, err := s.showing("s", "staff.test", alice, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(alice.Leaf.Raw)
	want := []string{
		"X-Ssl-Client-Verify: SUCCESS",
		`X-Ssl-Client-Dn: CN=Alice\, n\C3\A9e \0D\0AX-Admin: 1,O=Example`,
		"X-Ssl-Client-Issuer: CN=test CA",
		"X-Ssl-Client-Serial: " + strings.ToUpper(fmt.Sprintf("%x", alice.Leaf.SerialNumber.Bytes())),
		"X-Ssl-Client-Fingerprint: " + hex.EncodeToString(sum[:]),
		"Client-Cert: :" + base64.StdEncoding.EncodeToString(alice.Leaf.Raw) + ":",
	}
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: staff.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: STAFF.test:443\r\n" + forged + "Connection: X-SSL-Client-DN, keep-alive\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: staff.test.\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-SSL-Client-DN\r\n\r\n1\r\na\r\n0\r\n" + forged + "\r\n",
	} {
		a := w.ask(request)
		var got []string
		for line := range strings.Lines(a.body) {
			if l := strings.ToLower(line); strings.Contains(l, "client") {
				got = append(got, strings.TrimSuffix(line, "\n"))
			}
		}
		slices.Sort(got)
		expected := slices.Sorted(slices.Values(want))
		if a.status != 200 || !slices.Equal(got, expected) {
			t.Errorf("%.30q: %d\n got %q\nwant %q", request, a.status, got, expected)
		}
	}

	// Nobody says who it is where nobody was asked.
	open, _, err := s.showing("s", "open.test", alice, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []*wire{open, s.client("clear")} {
		a := w.ask("GET / HTTP/1.1\r\nHost: open.test\r\n" + forged + "X-Other: x\r\n\r\n")
		if a.status != 200 || strings.Contains(strings.ToLower(a.body), "client") || !strings.Contains(a.body, "X-Other: x") {
			t.Errorf("%d %q", a.status, a.body)
		}
	}
}

// TestClientIdentityInModeRequest: a name nobody vouches for is not passed on.
func TestClientIdentityInModeRequest(t *testing.T) {
	staff, other := newAuthority(t), newAuthority(t)
	s := newLodge(t, guarded(siteFile(t), staff.file, mirror(t), `mode = "request"`))
	for _, tt := range []struct {
		name         string
		c            *tls.Certificate
		want, absent []string
	}{
		{"none", nil, []string{"Verify: NONE"}, []string{"Dn:", "Fingerprint:", "Client-Cert:"}},
		{"good", staff.issueClient(t, pkix.Name{CommonName: "alice"}), []string{"Verify: SUCCESS", "Dn: CN=alice", "Fingerprint: "}, nil},
		{"bad", other.issueClient(t, pkix.Name{CommonName: "mallory"}), []string{"Verify: FAILED:", "unknown authority", "Fingerprint: ", "Client-Cert: :"}, []string{"Dn:", "mallory", "Serial:", "Issuer:"}},
	} {
		w, _, err := s.showing("s", "staff.test", tt.c, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := w.ask("GET / HTTP/1.1\r\nHost: staff.test\r\n\r\n")
		for _, part := range tt.want {
			if !strings.Contains(a.body, part) {
				t.Errorf("%s: no %q in %q", tt.name, part, a.body)
			}
		}
		for _, part := range tt.absent {
			if strings.Contains(a.body, part) {
				t.Errorf("%s: %q in %q", tt.name, part, a.body)
			}
		}
	}
}

// TestMisdirected: what a client has shown, or not, for one host counts for no other.
func TestMisdirected(t *testing.T) {
	staff := newAuthority(t)
	s := newLodge(t, guarded(siteFile(t), staff.file, mirror(t), ""))
	alice := staff.issueClient(t, pkix.Name{CommonName: "alice"})
	for _, tt := range []struct {
		sni, host string
		shows     bool
		want      int
	}{
		{"open.test", "open.test", false, 200},
		{"staff.test", "staff.test", true, 200},
		{"strict.test", "strict.test", false, 200},
		{"open.test", "staff.test", false, 421},
		{"open.test", "staff.test", true, 421},
		{"", "staff.test", true, 421}, // as clients without a name are served by the first
		{"staff.test", "open.test", true, 421},
		{"staff.test", "more.staff.test", true, 421},
		{"more.staff.test", "more.staff.test", true, 200},
		{"strict.test", "other.strict.test", false, 421},
		{"strict.test", "open.test", false, 421},
		{"", "open.test", false, 200},
		{"open.test", "nobody.test", false, 421},
	} {
		c := alice
		if !tt.shows {
			c = nil
		}
		w, _, err := s.showing("s", tt.sni, c, nil)
		if err != nil {
			t.Errorf("%q: %v", tt.sni, err)
			continue
		}
		request := "GET / HTTP/1.1\r\nHost: " + tt.host + "\r\n\r\n"
		if a := w.ask(request); a.status != tt.want {
			t.Errorf("name %q, host %q: %d, want %d", tt.sni, tt.host, a.status, tt.want)
		} else if tt.want == 421 && tt.sni != "" {
			if a := w.ask("GET / HTTP/1.1\r\nHost: " + tt.sni + "\r\n\r\n"); a.status != 200 {
				t.Errorf("name %q, after a 421: %d", tt.sni, a.status)
			}
		}
	}
	if _, _, err := s.showing("s", "staff.test", nil, nil); err == nil {
		t.Error("a client without a certificate is let in")
	}
	// In TLS 1.3 the client learns it when it has spoken already.
	for _, tt := range []struct {
		c    *tls.Certificate
		want string
	}{{nil, "certificate required"}, {newAuthority(t).issueClient(t, pkix.Name{CommonName: "mallory"}), "unknown certificate authority"}} {
		w, _, err := s.showing("s", "staff.test", tt.c, tls.NewLRUClientSessionCache(1))
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			err = w.send("GET / HTTP/1.1\r\nHost: staff.test\r\n\r\n")
			if err == nil {
				_, err = w.answer("GET")
			}
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("the client is told %v, want %s", err, tt.want)
		}
	}
	s.await("a line about the refused client", func() bool { return s.told.FilterMessageSnippet("client refused").Len() == 1 })
}

// everywhereSessions is a store of sessions that offers its one session to every host.
type everywhereSessions struct{ tls.ClientSessionCache }

func (s everywhereSessions) Get(string) (*tls.ClientSessionState, bool) {
	return s.ClientSessionCache.Get("")
}
func (s everywhereSessions) Put(_ string, c *tls.ClientSessionState) { s.ClientSessionCache.Put("", c) }

// TestSessionsStayWithTheirHost: a ticket of one tls block does not open another one, behind the same address.
func TestSessionsStayWithTheirHost(t *testing.T) {
	staff := newAuthority(t)
	s := newLodge(t, guarded(siteFile(t), staff.file, mirror(t), ""))
	guest := newAuthority(t).issueClient(t, pkix.Name{CommonName: "guest"})
	sessions := everywhereSessions{tls.NewLRUClientSessionCache(1)}
	visit := func(host string) (status int, resumed bool) {
		w, tc, err := s.showing("s", host, guest, sessions)
		if err != nil {
			return 0, false
		}
		if err := w.send("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"); err != nil {
			return 0, false
		}
		a, err := w.answer("GET")
		if err != nil {
			return 0, false
		}
		return a.status, tc.ConnectionState().DidResume
	}
	if status, _ := visit("open.test"); status != 200 {
		t.Fatal(status)
	}
	if status, resumed := visit("open.test"); status != 200 || !resumed {
		t.Errorf("on its own host: %d, resumed %v", status, resumed)
	}
	if status, _ := visit("staff.test"); status != 0 {
		t.Errorf("the guest is answered with %d", status)
	}
	// And across a reload the tickets are good where they were.
	if status, _ := visit("open.test"); status != 200 {
		t.Fatal(status)
	}
	s.reload(guarded(siteFile(t), staff.file, mirror(t), ""))
	if status, resumed := visit("open.test"); status != 200 || !resumed {
		t.Errorf("after a reload: %d, resumed %v", status, resumed)
	}
}

// TestNewRulesForOpenConnections: who is in already is judged by new rules: those of a reload, and those of a changed file.
func TestNewRulesForOpenConnections(t *testing.T) {
	staff := newAuthority(t)
	upstream, pair := mirror(t), siteFile(t)
	text := guarded(pair, staff.file, upstream, "")
	// At first nobody is asked for anything.
	i, j := strings.Index(text, "client_auth"), strings.Index(text, `tls "strict"`)
	s := newLodge(t, text[:i]+"}\n"+text[j:])
	w, _, err := s.showing("s", "staff.test", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	const request = "GET / HTTP/1.1\r\nHost: staff.test\r\n\r\n"
	if a := w.ask(request); a.status != 200 {
		t.Fatal(a.status)
	}
	s.reload(text)
	if a := w.ask(request); a.status != 421 {
		t.Errorf("without a certificate, after the reload: %d", a.status)
	}

	alice := staff.issueClient(t, pkix.Name{CommonName: "alice"})
	if w, _, err = s.showing("s", "staff.test", alice, nil); err != nil {
		t.Fatal(err)
	}
	s.reload(strings.Replace(text, "730d", "1d", 1)) // of another block
	if a := w.ask(request); a.status != 200 || !strings.Contains(a.body, "alice") {
		t.Errorf("after a reload that does not concern it: %d", a.status)
	}

	// The authority is replaced: its clients are nobody any more.
	next := newAuthority(t)
	if err := os.Rename(next.file, staff.file); err != nil {
		t.Fatal(err)
	}
	s.await("the new authority", func() bool { return s.told.FilterMessageSnippet("client_auth: files loaded").Len() > 0 })
	if a := w.ask(request); a.status != 421 || !a.close {
		t.Errorf("after the authority was replaced: %d, close %v", a.status, a.close)
	}
	if _, _, err := s.showing("s", "staff.test", alice, nil); err == nil {
		t.Error("alice is let in")
	}
}

// TestRevokedClient: a revocation list that comes later shuts the door.
func TestRevokedClient(t *testing.T) {
	cert, key := sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "staff CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, nil)
	staff := &authority{cert: cert, key: key, file: newAuthority(t).file}
	if err := os.WriteFile(staff.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	alice := staff.issueClient(t, pkix.Name{CommonName: "alice"})
	list := func(entries ...x509.RevocationListEntry) []byte {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour),
			NextUpdate: time.Now().Add(time.Hour), RevokedCertificateEntries: entries}, cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	crl := staff.file + ".crl"
	if err := os.WriteFile(crl, list(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newLodge(t, guarded(siteFile(t), staff.file, mirror(t), `crl = "`+crl+`"`))
	w, _, err := s.showing("s", "staff.test", alice, nil)
	if err != nil {
		t.Fatal(err)
	}
	const request = "GET / HTTP/1.1\r\nHost: staff.test\r\n\r\n"
	if a := w.ask(request); a.status != 200 {
		t.Fatal(a.status)
	}
	nc, err := net.Dial("unix", s.path("s"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	p := &h2peer{TB: t, nc: tls.Client(nc, &tls.Config{ServerName: "staff.test", InsecureSkipVerify: true, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{*alice}})}
	p.init()
	p.begin()
	hello := []string{":method: GET", ":scheme: https", ":authority: staff.test", ":path: /"}
	p.headers(1, true, hello...)
	if head, _ := p.response(1); head[":status"] != "200" {
		t.Fatal(head)
	}
	if err := os.WriteFile(crl, list(x509.RevocationListEntry{SerialNumber: alice.Leaf.SerialNumber, RevocationTime: time.Now()}), 0o600); err != nil {
		t.Fatal(err)
	}
	s.await("the new list", func() bool { return s.told.FilterMessageSnippet("client_auth: files loaded").Len() > 0 })
	if a := w.ask(request); a.status != 421 {
		t.Errorf("on an open connection: %d", a.status)
	}
	p.headers(3, true, hello...)
	if got := p.verdict(0); got != "GOAWAY NO_ERROR" { // for which a new connection, whose handshake says why, makes up
		t.Errorf("over HTTP/2: %s", got)
	}
	if _, _, err := s.showing("s", "staff.test", alice, nil); err == nil {
		t.Error("alice is let in")
	}
}

// TestRevokedClientOverHTTP3: the same on a connection of HTTP/3, which ends then, so that the next handshake says why.
func TestRevokedClientOverHTTP3(t *testing.T) {
	staff := newAuthority(t)
	addr := fmt.Sprintf("127.0.0.1:%d", free(t, 1)[0])
	text := guarded(siteFile(t), staff.file, mirror(t), "")
	for _, name := range []string{"open", "staff", "strict"} {
		text = strings.Replace(text, `bind "unix:DIR/s" { tls = tls.`+name+` }`, "bind \""+addr+"\" {\n tls = tls."+name+"\n http3 = true\n}", 1)
	}
	s := newLodge(t, text)
	c := overUDP(t, addr, staff.issueClient(t, pkix.Name{CommonName: "alice"}))
	if resp, body, err := fetched(c, asked(t, "GET", "https://staff.test/", nil)); err != nil || !strings.Contains(body, "CN=alice") {
		t.Fatalf("%+v, %v", resp, err)
	}
	for path, status := range map[string]int{"/": 200, "/gone": 410} {
		resp, _, err := fetched(c, asked(t, "GET", "https://open.test"+path, nil))
		if err != nil || resp.StatusCode != status || strings.Join(resp.Header["Strict-Transport-Security"], ", ") != "max-age=63072000" {
			t.Errorf("%s: %+v, %v", path, resp, err)
		}
	}
	if err := os.Rename(newAuthority(t).file, staff.file); err != nil {
		t.Fatal(err)
	}
	s.await("the new authority", func() bool { return s.told.FilterMessageSnippet("client_auth: files loaded").Len() > 0 })
	if resp, _, err := fetched(c, asked(t, "GET", "https://staff.test/", nil)); err != nil || resp.StatusCode != 421 {
		t.Errorf("on an open connection: %+v, %v", resp, err)
	}
	s.await("the connection ends", func() bool {
		resp, _, err := fetched(c, asked(t, "GET", "https://staff.test/", nil))
		return err != nil || resp.StatusCode != 421
	})
	if resp, _, err := fetched(c, asked(t, "GET", "https://staff.test/", nil)); err == nil {
		t.Errorf("alice is let in: %+v", resp)
	}
}

// TestHSTS: every answer over TLS has the block's field, once, and none in the clear.
func TestHSTS(t *testing.T) {
	s := newLodge(t, guarded(siteFile(t), newAuthority(t).file, mirror(t), ""))
	const ours = "max-age=63072000"
	for _, tt := range []struct {
		name, request string
		status        int
	}{
		{"server's", "GET / HTTP/1.1\r\nHost: open.test\r\n\r\n", 200},
		{"page of a route", "GET /gone HTTP/1.1\r\nHost: open.test\r\n\r\n", 410},
		{"unknown host", "GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n", 421},
		{"unreadable", "GET / HTTP/1.1\r\nHost: open.test\r\nbad header\r\n\r\n", 400},
	} {
		w, _, err := s.showing("s", "open.test", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := w.ask(tt.request)
		if got := a.Values("Strict-Transport-Security"); a.status != tt.status || len(got) != 1 || got[0] != ours {
			t.Errorf("%s: %d %q", tt.name, a.status, got)
		}
		a = s.client("clear").ask(tt.request)
		want := ""
		if tt.status == 200 {
			want = "max-age=1; preload" // the server's own word: as it says
		}
		if got := a.Get("Strict-Transport-Security"); got != want {
			t.Errorf("%s in the clear: %q, want %q", tt.name, got, want)
		}
	}
	w, _, err := s.showing("s", "strict.test", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.ask("GET / HTTP/1.1\r\nHost: strict.test\r\n\r\n").Get("Strict-Transport-Security"); got != "max-age=1; preload" {
		t.Errorf("without hsts: %q", got)
	}
}

// TestRulesOverHTTP2: streams obey the same rules as requests of HTTP/1.
func TestRulesOverHTTP2(t *testing.T) {
	staff := newAuthority(t)
	s := newLodge(t, guarded(siteFile(t), staff.file, mirror(t), ""))
	alice := staff.issueClient(t, pkix.Name{CommonName: "alice"})
	visit := func(sni, host, path string) (*http.Response, string) {
		t.Helper()
		tr := &http.Transport{
			ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", s.path("s"))
			},
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return alice, nil }},
		}
		defer tr.CloseIdleConnections()
		q, err := http.NewRequest("GET", "https://"+sni+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = host
		q.Header["x_ssl_client_dn"] = []string{"CN=root"}
		q.Header.Set("X-SSL-Client-DN", "CN=root")
		resp, err := tr.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.ProtoMajor != 2 {
			t.Fatalf("%s, %v", resp.Proto, err)
		}
		return resp, string(body)
	}
	if resp, body := visit("staff.test", "staff.test", "/"); resp.StatusCode != 200 || !strings.Contains(body, "X-Ssl-Client-Dn: CN=alice\n") || strings.Contains(body, "root") {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	// A connection that is taken for another host, as browsers do where the certificate covers both.
	for _, pair := range [][2]string{{"open.test", "staff.test"}, {"staff.test", "open.test"}, {"staff.test", "more.staff.test"}} {
		if resp, _ := visit(pair[0], pair[1], "/"); resp.StatusCode != 421 {
			t.Errorf("%s: %d", pair, resp.StatusCode)
		}
	}
	for path, status := range map[string]int{"/": 200, "/gone": 410} {
		resp, body := visit("open.test", "open.test", path)
		if got := resp.Header.Values("Strict-Transport-Security"); resp.StatusCode != status || len(got) != 1 || got[0] != "max-age=63072000" || strings.Contains(body, "Client") {
			t.Errorf("%s: %d %q %q", path, resp.StatusCode, got, body)
		}
	}
}

// TestTroublesAreSeen: a certificate file that goes bad leaves its site served, beside the others, and the status says why.
func TestTroublesAreSeen(t *testing.T) {
	one, two := siteFile(t), siteFile(t)
	upstream := mirror(t)
	s := newLodge(t, `
tls "one" { certificate = "`+one+`" }
tls "two" { certificate = "`+two+`" }
frontend "one" {
  hosts = ["open.test"]
  bind "unix:DIR/s" { tls = tls.one }
  backend = backend.app
}
frontend "two" {
  hosts = ["strict.test"]
  bind "unix:DIR/s" { tls = tls.two }
  backend = backend.app
}
backend "app" {
  server "A" "`+upstream+`" {}
}
`)
	serves := func() {
		t.Helper()
		for _, host := range []string{"open.test", "strict.test"} {
			w, _, err := s.showing("s", host, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if a := w.ask("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); a.status != 200 {
				t.Errorf("%s: %d", host, a.status)
			}
		}
	}
	serves()
	whole, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(two)
	if err != nil {
		t.Fatal(err)
	}
	cert, _, _ := strings.Cut(string(whole), "-----BEGIN PRIVATE KEY")
	_, key, _ := strings.Cut(string(other), "-----BEGIN PRIVATE KEY")
	for _, tt := range []struct{ name, text, want string }{
		{"half written", string(whole[:len(whole)/2]), "the block is cut short"},
		{"with the key of another", cert + "-----BEGIN PRIVATE KEY" + key, "the private key does not belong to the certificate"},
		{"empty", "", "no certificate inside"},
	} {
		if err := os.WriteFile(one, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.await(tt.name, func() bool {
			l := s.h.Status().Troubles
			return len(l) == 1 && strings.HasPrefix(l[0], "tls one: "+one) && strings.Contains(l[0], tt.want) && strings.HasSuffix(l[0], "what was read before is served")
		})
		serves()
	}
	if err := os.WriteFile(one, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s.await("a whole file again", func() bool { return len(s.h.Status().Troubles) == 0 })
	serves()
}

// TestRulesAllocateNothing: names for the servers, forged ones that go, HSTS and the look whether a host is the connection's cost no memory
// for each request.
func TestRulesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	x := &hot[0]
	o := newOrigin(t, repeat(x.seen, x.answer))
	staff := newAuthority(t)
	text := strings.Replace(guarded(siteFile(t), staff.file, o.addr, ""), "  client_auth {", "  hsts = \"730d\"\n  client_auth {", 1)
	s := newLodge(t, text)
	alice := staff.issueClient(t, pkix.Name{CommonName: "alice"})
	w, _, err := s.showing("s", "staff.test", alice, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Conn.SetDeadline(noTime)
	request := strings.Replace(strings.Replace(x.request, "a.test", "staff.test", 1), "\r\n\r\n", "\r\nX-SSL-Client-DN: CN=root\r\n\r\n", 1)
	e := &exchangeOf{c: w.Conn, request: []byte(request), end: []byte("$"), buf: make([]byte, 300<<10)}
	for range 200 {
		e.run(t)
	}
	const most = 3 // of crypto/tls: see TestExchangesOverTLSAllocateNothing
	if n := allocations(most, func() { e.run(t) }); n > most {
		t.Errorf("%v allocations per exchange, more than crypto/tls's %v", n, most)
	}
}
