package house_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
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
	// It keeps to max_streams where it would like more; where it may have a thousand, it gets them.
	for _, front := range []string{"", "limits { max_streams = 1000 }"} {
		r := build(t, plan{servers: []*origin{newOrigin(t, sizes)}, bind: both, front: front})
		out, err := exec.Command(h2load, "-n", "4000", "-c", "2", "-m", "1000", "http://"+r.addr+"/5000").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "4000 succeeded, 0 failed, 0 errored, 0 timeout") {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// TestNghttpUpload: what a client says behind its content gets to servers of both versions.
func TestNghttpUpload(t *testing.T) {
	nghttp := program(t, "nghttp")
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, []byte(strings.Repeat("z", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	var got string
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		got = fmt.Sprint(r.Proto, " ", r.Method, " ", n, " ", err, " ", r.Trailer.Get("X-Sum"))
	})
	srv := httptest.NewServer(h)
	defer srv.Close()
	for version, p := range map[string]plan{
		"HTTP/1.1": {bind: both, at: []string{srv.Listener.Addr().String()}},
		"HTTP/2.0": {bind: both, back: speaking(h2origin(t, h, false))},
	} {
		r := build(t, p)
		out, err := exec.Command(nghttp, "-nv", "-d", file, "--no-content-length", "-H", "trailer: x-sum", "--trailer", "x-sum: 42", "http://"+r.addr+"/").CombinedOutput()
		if err != nil || got != version+" POST 100000 <nil> 42" || strings.Count(string(out), ":status: 200") != 1 {
			t.Errorf("%v: a server of %s has seen %q: %s", err, version, got, out)
		}
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

// TestCurlOptions: what people do with curl, over HTTP/2.
func TestCurlOptions(t *testing.T) {
	curl := program(t, "curl")
	if out, err := exec.Command(curl, "--version").Output(); err != nil || !strings.Contains(string(out), "HTTP2") {
		t.Skip("this curl has no HTTP/2")
	}
	more := make(chan struct{})
	m := http.NewServeMux()
	m.HandleFunc("/novel", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(novel))
	})
	m.HandleFunc("/length", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Method, " ", n, " ", err, " ", r.ContentLength)
	})
	m.HandleFunc("/pieces", func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintln(w, "piece", i)
			w.(http.Flusher).Flush()
			<-more
		}
	})
	srv := httptest.NewServer(m)
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, []byte(strings.Repeat("z", 3_000_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	clear, secure := build(t, plan{at: []string{srv.Listener.Addr().String()}, bind: both, front: "compress {}"}), build(t, plan{at: []string{srv.Listener.Addr().String()}, tls: true, front: "compress {}"})
	_, port, err := net.SplitHostPort(secure.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range [][]string{
		{"--http2-prior-knowledge", "--resolve", "a.test:80:127.0.0.1", "--connect-to", "a.test:80:" + clear.addr, "http://a.test"},
		{"--http2", "-k", "--resolve", "a.test:" + port + ":127.0.0.1", "https://a.test:" + port},
	} {
		do := func(path string, args ...string) *exec.Cmd {
			n := len(way) - 1
			args = append(append([]string{"-sS", "-w", "|%{http_version} %{http_code}"}, way[:n]...), args...)
			return exec.Command(curl, append(args, way[n]+path)...)
		}
		for _, c := range []struct {
			name, path, want string
			args             []string
		}{
			{"POST", "/length", "POST 3 <nil> 3|2 200", []string{"-d", "a=b"}},
			{"a form", "/length", `POST 3000\d+ <nil> 3000\d+\|2 200`, []string{"-F", "f=@" + file}},
			{"a file", "/length", "POST 3000000 <nil> 3000000|2 200", []string{"--data-binary", "@" + file}},
			{"PUT", "/length", "PUT 3000000 <nil> 3000000|2 200", []string{"-T", file}},
			{"asking first", "/length", "PUT 3000000 <nil> 3000000|2 200", []string{"-T", file, "-H", "Expect: 100-continue"}},
			{"a length nobody knows", "/length", "PUT 3000000 <nil> -1|2 200", []string{"-T", "-"}},
			{"slowly", "/length", "PUT 3000000 <nil> 3000000|2 200", []string{"-T", file, "--limit-rate", "20M"}},
			{"HEAD", "/novel", `(?s)HTTP/2 200.*content-length: 100000\s.*\|2 200`, []string{"-I"}},
			{"HEAD of what would be compressed", "/novel", `(?s)HTTP/2 200.*content-encoding: gzip\s.*\|2 200`, []string{"-I", "-H", "Accept-Encoding: gzip"}},
			{"a part", "/novel", novel[7:16] + "|2 206", []string{"-r", "7-15"}},
			{"a part, compressed or not", "/novel", novel[7:16] + "|2 206", []string{"-r", "7-15", "--compressed"}},
			{"compressed", "/novel", novel + "|2 200", []string{"--compressed"}},
			{"read slowly", "/novel", novel + "|2 200", []string{"--limit-rate", "1M"}},
		} {
			cmd := do(c.path, c.args...)
			if strings.Contains(strings.Join(c.args, " "), "-T -") {
				cmd.Stdin = strings.NewReader(strings.Repeat("z", 3_000_000))
			}
			out, err := cmd.CombinedOutput()
			if got := string(out); err != nil || got != c.want && !regexp.MustCompile("^"+c.want+"$").MatchString(got) {
				t.Errorf("%s, %s: %v, %.300q, want %.300q", way[0], c.name, err, got, c.want)
			}
		}
		cmd := do("/pieces", "-N")
		from, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 { // each is there before the server says more
			b := make([]byte, 8)
			if _, err := io.ReadFull(from, b); err != nil || string(b) != fmt.Sprint("piece ", i, "\n") {
				t.Errorf("%s: piece %d: %q, %v", way[0], i, b, err)
			}
			more <- struct{}{}
		}
		if b, err := io.ReadAll(from); string(b) != "|2 200" {
			t.Errorf("%s: at the end %q, %v", way[0], b, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}
