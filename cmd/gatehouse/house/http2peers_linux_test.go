package house_test

import (
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestH2spec runs h2spec (github.com/summerwind/h2spec), which knows 145 rules of RFC 9113 and RFC 7541.
func TestH2spec(t *testing.T) {
	spec := program(t, "h2spec")
	o := newOrigin(t, nil)
	r := raise(t, t.TempDir(), `
tls "own" { internal = true }
frontend "www" {
 bind "127.0.0.1:1" { tls = tls.own }
 backend = backend.app
}
backend "app" {
 server "A" "`+o.addr+`" {}
}`, plan{tls: true})
	host, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(spec, "-h", host, "-p", port, "-t", "-k", "--timeout", "2").CombinedOutput()
	text := string(out)
	if i := strings.Index(text, "Failures:"); i >= 0 {
		t.Error(text[i:])
	}
	if err != nil || !regexp.MustCompile(`\n14\d tests, 14\d passed, 0 skipped, 0 failed`).MatchString(text) {
		t.Errorf("%v: %s", err, text[max(0, len(text)-300):])
	}
}

// TestNghttp fetches by nghttp, whose library many clients are built on, and measures nothing but that h2load gets all it asks for.
func TestNghttp(t *testing.T) {
	nghttp, h2load := program(t, "nghttp"), program(t, "h2load")
	r := build(t, plan{servers: []*origin{newOrigin(t, sizes)}, bind: both})
	out, err := exec.Command(nghttp, "-nvs", "http://"+r.addr+"/300000", "http://"+r.addr+"/5").CombinedOutput()
	if err != nil || strings.Count(string(out), ":status: 200") != 2 {
		t.Errorf("%v: %s", err, out)
	}
	out, err = exec.Command(h2load, "-n", "2000", "-c", "4", "-m", "50", "http://"+r.addr+"/5000").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "2000 succeeded, 0 failed, 0 errored, 0 timeout") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCurlHTTP2 fetches and sends by curl.
func TestCurlHTTP2(t *testing.T) {
	curl := program(t, "curl")
	if out, err := exec.Command(curl, "--version").Output(); err != nil || !strings.Contains(string(out), "HTTP2") {
		t.Skip("this curl has no HTTP/2")
	}
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, tls: true})
	_, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		t.Fatal(err)
	}
	url := "https://a.test:" + port + "/x"
	out, err := exec.Command(curl, "-sSk", "--http2", "--resolve", "a.test:"+port+":127.0.0.1", "-w", "|%{http_version}|", url, url, "-d", strings.Repeat("z", 100_000)).CombinedOutput()
	if got, want := string(out), "POST /x 100000|2|POST /x 100000|2|"; err != nil || got != want {
		t.Errorf("%v: %q, want %q", err, got, want)
	}
}
