package admin

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"gatehouse/backend/loop"
)

// noon is when the sample was taken.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// sample is a site with one of everything.
func sample() *Status {
	return &Status{
		Version: "v1.2.3", PID: 42, State: "serving", Started: noon.Add(-50 * time.Hour), Now: noon, Configuration: []string{"/etc/gatehouse/gatehouse.hcl"},
		Generation: 3, Since: noon.Add(-time.Hour),
		Reload: &Outcome{Time: noon.Add(-time.Minute), Generation: 3, Errors: 1, Diagnostics: "Error: secret\n", Changes: []string{"secret"}, Notes: []string{"secret"}},
		Totals: Totals{Connections: 12, MaxConnections: 1000, Reloads: 2, ReloadsRefused: 1},
		Frontends: []Frontend{
			{Name: "www", Addresses: []string{":80", ":443"}, Connections: 12, Accepted: 99, Requests: 12345, Active: 4, Bad: 3, Refused: 2, Monitored: 1},
		},
		Backends: []Backend{{Name: "webfarm", Usable: true, Requests: 12000, Active: 4, Retries: 5, Failed: 1, Servers: []Server{
			{Backend: "webfarm", Name: "webA", Address: "192.168.1.11:80", State: "up", Health: "up", Check: "HTTP status 200 after 2 ms", Since: noon.Add(-26 * time.Hour),
				Operator: "ready", Weight: 12, Newcomers: true, Holders: true, Active: 3, Idle: 7, Requests: 9000, Connections: 20, Refused: 1, Failed: 2},
			{Backend: "webfarm", Name: "<b>\t", Address: "192.168.1.12:80", State: "down", Health: "down", Check: "connect 192.168.1.12:80: connection refused", Since: noon.Add(-90 * time.Second),
				Operator: "ready", Backup: true, Weight: 1, Wishes: []string{"weight 1 by the operator (configured: 5)"}},
		}}},
		Certificates: []Certificate{{TLS: "site", Names: []string{"a.test", "b.test"}, NotAfter: noon.Add(40 * 24 * time.Hour), State: "valid"}},
		Logs:         []Log{{Name: "access", Output: "/var/log/gatehouse.log", Dropped: 8}},
	}
}

func ask(h http.Handler, method, target, host string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = host
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPageIsForWhoComesItself(t *testing.T) {
	h := pageHandler(sample)
	name, _ := os.Hostname()
	for _, tt := range []struct {
		method, target, host string
		fields               []string
		want                 int
	}{
		{"GET", "/", "127.0.0.1:8404", nil, 200},
		{"HEAD", "/", "127.0.0.1:8404", nil, 200},
		{"GET", "/", "[::1]:8404", nil, 200},
		{"GET", "/", "::1", nil, 200},
		{"GET", "/metrics", "192.168.1.1", nil, 200},
		{"GET", "/status", "localhost:8404", nil, 200},
		{"GET", "/", "LOCALHOST.", nil, 200},
		{"GET", "/", name + ":8404", nil, 200},
		{"GET", "/", "localhost:8404", []string{"Origin", "http://localhost:8404"}, 200},
		{"GET", "/", "localhost:8404", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200}, // a link
		{"GET", "/", "evil.example", nil, 403}, // DNS rebinding
		{"GET", "/", "localhost.evil.example:8404", nil, 403},
		{"GET", "/", "127.0.0.1.evil.example", nil, 403},
		{"GET", "/", "", nil, 403},
		{"GET", "/metrics", "127.0.0.1:8404", []string{"Origin", "http://evil.example"}, 403},
		{"GET", "/metrics", "127.0.0.1:8404", []string{"Origin", "null"}, 403},
		{"GET", "/status", "127.0.0.1:8404", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"POST", "/", "127.0.0.1:8404", nil, 405},
		{"POST", "/reload", "127.0.0.1:8404", nil, 405},
		{"POST", "/server", "127.0.0.1:8404", nil, 405},
		{"DELETE", "/status", "127.0.0.1:8404", nil, 405},
		{"GET", "/reload", "127.0.0.1:8404", nil, 404},
		{"GET", "/x", "127.0.0.1:8404", nil, 404},
	} {
		w := ask(h, tt.method, tt.target, tt.host, tt.fields...)
		if w.Code != tt.want {
			t.Errorf("%s %s of %q %q: %d, want %d", tt.method, tt.target, tt.host, tt.fields, w.Code, tt.want)
		}
		if tt.want != 200 && strings.Contains(w.Body.String(), "webfarm") {
			t.Errorf("%s %s of %q: says something all the same", tt.method, tt.target, tt.host)
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s %s: %v", tt.method, tt.target, w.Header())
		}
	}
}

func TestPageShowsEverythingButTheConfiguration(t *testing.T) {
	h := pageHandler(sample)
	for _, target := range []string{"/", "/status", "/metrics"} {
		text := ask(h, "GET", target, "127.0.0.1").Body.String()
		for _, w := range []string{"secret", "/etc/gatehouse"} {
			if strings.Contains(text, w) {
				t.Errorf("%s shows %s", target, w)
			}
		}
	}
	page := ask(h, "GET", "/", "127.0.0.1").Body.String()
	for _, w := range []string{
		"<td data-is=\"frontend\">www<td data-is=\"addresses\">:80 :443<td class=\"n\" data-is=\"connections\">12<td",
		"<td class=\"good\" data-is=\"state\">up", "<td class=\"bad\" data-is=\"state\">down", "&lt;b&gt;", "since\">1d2h", "since\">1m30s",
		"weight 1 by the operator (configured: 5)", "a.test b.test", "40d", "1 of 2 servers take newcomers, 12000 requests, 4 under way, 5 retries, 1 failed",
		"gatehouse.hcl, generation 3", "refused: the configuration before it serves on", "width=device-width", "prefers-color-scheme: dark", "2026-01-02",
	} {
		if (w == "2026-01-02") == strings.Contains(page, w) {
			t.Errorf("%q in\n%s", w, page)
		}
	}
	for _, w := range []string{"<script", "src=", "<link", "@import", "url("} {
		if strings.Contains(page, w) {
			t.Errorf("the page is not complete in itself: %s", w)
		}
	}
}

func TestMetrics(t *testing.T) {
	w := ask(pageHandler(sample), "GET", "/metrics", "127.0.0.1")
	text := w.Body.String()
	for _, line := range []string{
		`gatehouse_info{version="v1.2.3"} 1`,
		`gatehouse_connections 12`,
		`gatehouse_reloads_total{result="done"} 2`,
		`gatehouse_reloads_total{result="refused"} 1`,
		`gatehouse_frontend_requests_total{frontend="www"} 12345`,
		`gatehouse_frontend_connections_total{frontend="www"} 99`,
		`gatehouse_frontend_connections{frontend="www"} 12`,
		`gatehouse_backend_usable{backend="webfarm"} 1`,
		`gatehouse_server_up{backend="webfarm",server="webA"} 1`,
		`gatehouse_server_up{backend="webfarm",server="<b>	"} 0`,
		`gatehouse_server_requests_total{backend="webfarm",server="webA"} 9000`,
		`gatehouse_server_connections_failed_total{backend="webfarm",server="webA"} 1`,
		`gatehouse_server_failed_total{backend="webfarm",server="webA"} 2`,
		`gatehouse_certificate_not_after_seconds{name="a.test",tls="site"} 1.7988912e+09`,
		`gatehouse_certificate_not_after_seconds{name="b.test",tls="site"} 1.7988912e+09`,
		`gatehouse_log_lines_dropped_total{log="access"} 8`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "# HELP gatehouse_") && !strings.HasSuffix(line, ".\n") {
			t.Errorf("not a sentence: %s", line)
		}
	}
	if !strings.Contains(text, "go_goroutines ") || !strings.Contains(text, "process_open_fds ") {
		t.Error("nothing about the process")
	}
}

// TestCertificatesOfOneName: an RSA certificate and its twin are one series for each name, which ends when the first of them does.
func TestCertificatesOfOneName(t *testing.T) {
	s := sample()
	s.Certificates = append(s.Certificates, s.Certificates[0])
	s.Certificates[1].NotAfter = noon
	text := ask(pageHandler(func() *Status { return s }), "GET", "/metrics", "127.0.0.1").Body.String()
	if n := strings.Count(text, "\ngatehouse_certificate_not_after_seconds{"); n != 2 || !strings.Contains(text, "{name=\"b.test\",tls=\"site\"} 1.7954352e+09\n") {
		t.Errorf("%d series in %s", n, text)
	}
}

func TestOpenPage(t *testing.T) {
	a, err := loop.ParseAddr("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenPage(a, 0, sample, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + p.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || !strings.Contains(string(b), "webfarm") {
		t.Errorf("%v %v %s", err, resp.Header, b)
	}
	taken, err := loop.ParseAddr(p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if q, err := OpenPage(taken, 0, sample, zap.NewNop()); err == nil || err.Error() != "bind: address already in use" {
		t.Errorf("twice on one address: %v, %v", q, err)
	}
	p.Close()
	if _, err := c.Get("http://" + p.Addr().String() + "/"); err == nil {
		t.Error("still open after Close")
	}
}

// TestPageAnswersToTheEnd: who has asked when the page closes gets the answer.
func TestPageAnswersToTheEnd(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	a, err := loop.ParseAddr("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenPage(a, 0, func() *Status {
		close(asked)
		<-goOn
		return sample()
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered := make(chan error, 1)
	go func() {
		resp, err := c.Get("http://" + p.Addr().String() + "/status")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		answered <- err
	}()
	<-asked
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		p.Close()
	}()
	for { // until nobody listens any more
		nc, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			break
		}
		nc.Close()
	}
	close(goOn)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	<-closed
}
