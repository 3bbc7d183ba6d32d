package admin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificates are one of each kind.
func certificates() []Certificate {
	return []Certificate{
		{TLS: "auto", Names: []string{"a.test"}, Source: "acme", State: "valid", CA: "Let's Encrypt", Way: "HTTP-01", File: "/s/a.crt", NotAfter: noon.Add(40 * 24 * time.Hour),
			Next: noon.Add(10 * 24 * time.Hour), Successes: 2, Failures: 1},
		{TLS: "auto", Names: []string{"b.test"}, Source: "acme", State: "failed", CA: "Let's Encrypt", Way: "HTTP-01", Next: noon.Add(12 * time.Minute), Failures: 3,
			Serving: "a certificate of the internal CA meanwhile",
			Failure: &CertFailure{Time: noon.Add(-time.Minute), Times: 3, Problem: "no\nluck", Why: "it has not come here"}},
		{TLS: "auto", Names: []string{"c.test"}, Source: "acme", State: "waiting for the first handshake", CA: "Let's Encrypt", Way: "HTTP-01"},
		{TLS: "site", Names: []string{"d.test", "e.test"}, Source: "file", State: "expired", File: "/etc/d.pem", Issuer: "CN=x", NotAfter: noon.Add(-time.Hour)},
		{TLS: "site", Names: []string{}, Source: "file", State: "not usable", File: "/etc/e.pem", Problem: "/etc/e.pem: line 3: the block is cut short"},
		{TLS: "dev", Names: []string{"localhost"}, Source: "internal", State: "valid", NotAfter: noon.Add(24 * time.Hour), Next: noon.Add(time.Hour)},
	}
}

func TestCertificatesText(t *testing.T) {
	var b strings.Builder
	if err := WriteCertificates(&b, certificates(), noon); err != nil {
		t.Fatal(err)
	}
	end := func(d time.Duration) string { return noon.Add(d).Local().Format(time.DateTime) }
	want := `names          state                            from             by       ends                 in    next    tls
a.test         valid                            Let's Encrypt    HTTP-01  ` + end(40*24*time.Hour) + `  40d   in 10d  auto
b.test         failed                           Let's Encrypt    HTTP-01  -                    -     in 12m  auto
c.test         waiting for the first handshake  Let's Encrypt    HTTP-01  -                    -     -       auto
d.test e.test  expired                          /etc/d.pem       -        ` + end(-time.Hour) + `  over  -       site
-              not usable                       /etc/e.pem       -        -                    -     -       site
localhost      valid                            the internal CA  -        ` + end(24*time.Hour) + `  1d    in 1h   dev

b.test:
  attempt failed 1m ago, 3 in a row: it has not come here
  word for word: no luck
  clients get a certificate of the internal CA meanwhile

/etc/e.pem:
  /etc/e.pem: line 3: the block is cut short
`
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	if text := strings.Join(got, "\n") + "\n"; text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	b.Reset()
	if err := WriteCertificates(&b, nil, noon); err != nil || b.String() != "no certificate is served, and none is on its way\n" {
		t.Errorf("%q %v", b.String(), err)
	}
}

func TestCertificateMetrics(t *testing.T) {
	s := sample()
	s.Certificates = certificates()
	text := ask(pageHandler(func() *Status { return s }), "GET", "/metrics", "127.0.0.1").Body.String()
	for _, line := range []string{
		fmt.Sprintf(`gatehouse_certificate_not_after_seconds{name="a.test",tls="auto"} %g`, float64(noon.Add(40*24*time.Hour).Unix())),
		fmt.Sprintf(`gatehouse_certificate_not_after_seconds{name="e.test",tls="site"} %g`, float64(noon.Add(-time.Hour).Unix())),
		`gatehouse_certificate_obtained{name="a.test",tls="auto"} 1`,
		`gatehouse_certificate_obtained{name="b.test",tls="auto"} 0`,
		`gatehouse_certificate_renewals_total{name="a.test",tls="auto"} 2`,
		`gatehouse_certificate_renewal_failures_total{name="b.test",tls="auto"} 3`,
		fmt.Sprintf(`gatehouse_certificate_next_attempt_seconds{name="b.test",tls="auto"} %g`, float64(noon.Add(12*time.Minute).Unix())),
		`gatehouse_certificate_next_attempt_seconds{name="c.test",tls="auto"} 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	for _, none := range []string{`not_after_seconds{name="b.test"`, `obtained{name="d.test"`} {
		if strings.Contains(text, none) {
			t.Errorf("a line with %s", none)
		}
	}
}

// TestCertificatesOnThePage: as text, whoever has written it.
func TestCertificatesOnThePage(t *testing.T) {
	s := sample()
	s.Certificates = certificates()
	s.Certificates[1].Failure.Why = "<script>alert(1)</script>"
	text := ask(pageHandler(func() *Status { return s }), "GET", "/", "127.0.0.1").Body.String()
	for _, want := range []string{"b.test", "&lt;script&gt;alert(1)", `class="bad" data-is="state">failed`, `class="good" data-is="state">valid`, "Let&#39;s Encrypt", "in 12m"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s on the page", want)
		}
	}
	if strings.Contains(text, "<script>alert") || strings.Contains(text, "0001-01-01") {
		t.Error("a script, or a date nobody has set, on the page")
	}
}

func TestShownText(t *testing.T) {
	list := certificates()
	s := CertShown{State: &list[1], Details: []CertDetail{{TLS: "auto", Names: []string{"b.test"}, State: "valid", Subject: "O=gatehouse", Issuer: "CN=root\x1b[31m", Serial: "ab",
		Key: "ECDSA P-256", Signature: "ECDSA-SHA256", SHA256: "0123", NotBefore: noon, NotAfter: noon.Add(time.Hour), Since: noon, Default: true,
		Chain:  []CertLink{{"CN=one", "CN=two", noon}, {"CN=two", "CN=three", noon}},
		Staple: &Staple{Status: "good", ThisUpdate: noon}}}}
	var b strings.Builder
	if err := s.WriteText(&b, noon); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"b.test: failed, obtained from Let's Encrypt by HTTP-01\nnext: in 12m\n", "\nclients get a certificate of the internal CA meanwhile\n",
		"\nissuer       CN=root [31m\n", "\nchain        CN=one, issued by CN=two, ends ", "\n             CN=two, issued by CN=three, ends ",
		"\nocsp         good, as of ", "\nstored       the internal CA's, in memory\n", ", also to clients that name no host, tls auto\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// TestCertificateOrders: what is asked for arrives, and refusals come back as they are.
func TestCertificateOrders(t *testing.T) {
	path := filepath.Join(socketDir(t), "admin.sock")
	open(t, path, Process{
		Certificates: certificates,
		Certificate: func(name string) (*CertShown, error) {
			if name != "a.test" {
				return nil, fmt.Errorf("%w name %s", ErrUnknown, name)
			}
			return &CertShown{State: &certificates()[0]}, nil
		},
		Renew: func(r Renewal) (*Renewing, error) {
			if !r.Force {
				return nil, errors.New("by force only")
			}
			return &Renewing{Started: []Started{{Name: r.Names[0]}}}, nil
		},
	})
	c, ctx := Dial(path), context.Background()
	t.Cleanup(c.Close)
	list, err := c.Certificates(ctx)
	if err != nil || len(list) != 6 || list[1].Failure.Times != 3 || !list[2].NotAfter.IsZero() {
		t.Errorf("%v %v", list, err)
	}
	if s, err := c.Certificate(ctx, "a.test"); err != nil || s.State.CA != "Let's Encrypt" {
		t.Errorf("%v %v", s, err)
	}
	if _, err := c.Certificate(ctx, "z.test"); err == nil || err.Error() != "unknown name z.test" {
		t.Error(err)
	}
	if r, err := c.Renew(ctx, Renewal{Names: []string{"a.test"}, Force: true}); err != nil || r.Started[0].Name != "a.test" {
		t.Errorf("%v %v", r, err)
	}
	for want, r := range map[string]Renewal{"by force only": {Names: []string{"a.test"}}, "want names, or all": {}} {
		if _, err := c.Renew(ctx, r); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestCovers(t *testing.T) {
	c := Certificate{Names: []string{"a.test", "*.b.test"}}
	for name, want := range map[string]bool{"a.test": true, "x.a.test": false, "x.b.test": true, "b.test": false, "x.y.b.test": false, "*.b.test": true, "": false} {
		if got := c.Covers(name); got != want {
			t.Errorf("Covers(%q) = %v", name, got)
		}
	}
}
