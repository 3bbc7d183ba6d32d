package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// spool keeps what is written to it, line by line, for a reader that waits.
type spool struct {
	mu    sync.Mutex
	more  *sync.Cond
	text  []byte
	ended bool
}

func newSpool() *spool {
	s := new(spool)
	s.more = sync.NewCond(&s.mu)
	return s
}

func (s *spool) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, b...)
	s.more.Broadcast()
	return len(b), nil
}

func (s *spool) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.more.Broadcast()
}

// next takes the oldest line, waiting for one; false after the last.
func (s *spool) next() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if line, rest, ok := bytes.Cut(s.text, []byte("\n")); ok {
			s.text = rest
			return string(line), true
		}
		if s.ended {
			return "", false
		}
		s.more.Wait()
	}
}

// demoSession is a demo under way.
type demoSession struct {
	t           *testing.T
	out, talk   *spool
	in          io.WriteCloser
	end         func() error
	url, caFile string
}

// startDemo starts a demo and reads what it invites to.
func startDemo(t *testing.T, args ...string) *demoSession {
	t.Helper()
	in, inW := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	d := &demoSession{t: t, out: newSpool(), talk: newSpool(), in: inW}
	c := demoCommand()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(append([]string{}, args...))
	c.SetIn(in)
	c.SetOut(d.out)
	c.SetErr(d.talk)
	done := make(chan error, 1)
	go func() {
		err := c.ExecuteContext(ctx)
		d.out.end()
		d.talk.end()
		done <- err
	}()
	d.end = func() error {
		cancel()
		inW.Close()
		return <-done
	}
	first := d.wait(d.out, `^curl .*`)
	if m := regexp.MustCompile(`--cacert (\S+)`).FindStringSubmatch(first); m != nil {
		d.caFile = m[1]
	}
	d.url = first[strings.LastIndex(first, " ")+1:]
	d.wait(d.out, `^# servers: `)
	return d
}

// wait reads lines until one matches and returns it.
func (d *demoSession) wait(lines *spool, pattern string) string {
	d.t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		line, ok := lines.next()
		if !ok {
			d.t.Fatalf("the demo ended before a line matched %q: %v", pattern, d.end())
		}
		if re.MatchString(line) {
			return line
		}
	}
}

// get asks for a page and returns the name of the server that answered, and the cookie it came with.
func (d *demoSession) get(client *http.Client, cookie string) (server, given string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), "GET", d.url+"hello", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	resp, err := client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		d.t.Fatalf("%s: %v\n%s", resp.Status, err, body)
	}
	name, _, ok := strings.Cut(string(body), " received\n")
	if !ok || !strings.Contains(string(body), "X-Forwarded-For: 127.0.0.1\n") || strings.Contains(string(body), "Cookie") {
		d.t.Errorf("the server says %q", body)
	}
	d.wait(d.out, "^"+name+" +<- GET /hello  X-Forwarded-For: 127.0.0.1$")
	return name, resp.Header.Get("Set-Cookie")
}

func TestDemoPlaysTheDefaultExampleOverTLS(t *testing.T) {
	d := startDemo(t)
	pem, err := os.ReadFile(d.caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %s", d.caFile)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	first, cookie := d.get(client, "")
	if want := "SERVERID=" + strings.TrimPrefix(first, "web") + "; path=/"; !strings.HasPrefix(cookie, want) {
		t.Errorf("%s gave %q", first, cookie)
	}
	held, _, _ := strings.Cut(cookie, ";")
	if again, given := d.get(client, held); again != first || given != "" {
		t.Errorf("with %s, %s answered and gave %q", held, again, given)
	}
	// Who is stopped loses its clients, who is started gets them back.
	io.WriteString(d.in, "nobody\n"+first+"\n")
	d.wait(d.talk, "^nobody is no server; there are webA webB webC webD$")
	d.wait(d.talk, "^"+first+" is stopped$")
	if other, given := d.get(client, held); other == first || given == "" {
		t.Errorf("while %s is stopped, %s answered and gave %q", first, other, given)
	}
	io.WriteString(d.in, first+"\n")
	d.wait(d.talk, "^"+first+" is started$")
	client.CloseIdleConnections()
	if err := d.end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.caFile); err == nil {
		t.Errorf("%s was left behind", d.caFile)
	}
}

func TestDemoPlaysAFolder(t *testing.T) {
	for _, folder := range []string{"../../examples/1-cookie-insertion", "2-weights"} {
		d := startDemo(t, folder)
		if first, _ := d.get(http.DefaultClient, ""); first != "webA" {
			t.Errorf("%s: %s answered first", folder, first)
		}
		http.DefaultClient.CloseIdleConnections()
		if err := d.end(); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

// Whatever a folder of the guide is about, its demo answers: HTTP passes through relays too.
func TestDemoPlaysTheGuide(t *testing.T) {
	for _, folder := range demoNames() {
		d := startDemo(t, folder)
		tr := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if _, port, err := net.SplitHostPort(address); err == nil { // as with curl's --resolve, where the site has a name
				address = net.JoinHostPort("127.0.0.1", port)
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}}
		if d.caFile != "" {
			pem, err := os.ReadFile(d.caFile)
			if err != nil {
				t.Fatal(err)
			}
			tr.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
			tr.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem)
		}
		resp, err := (&http.Client{Transport: tr}).Get(d.url + "hello")
		if err != nil {
			t.Fatalf("%s: %v", folder, err)
		}
		if resp.Body.Close(); resp.StatusCode != 200 {
			t.Errorf("%s: %s", folder, resp.Status)
		}
		tr.CloseIdleConnections()
		if err := d.end(); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

func TestDemoEndsByItself(t *testing.T) {
	var out bytes.Buffer
	if code := run([]string{"demo", "--for", "1ms"}, strings.NewReader(""), &out, io.Discard); code != 0 {
		t.Errorf("exit code %d\n%s", code, out.String())
	}
}

func TestDemoRefusesWhatItCannotPlay(t *testing.T) {
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "gatehouse.hcl"), []byte("listen {\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"demo", "no-such-folder"}, exitInvalid, "no built-in example is called no-such-folder (there are 1-cookie-insertion"},
		{[]string{"demo", bad}, exitInvalid, "gatehouse.hcl line 1"},
		{[]string{"demo", "a", "b"}, exitUsage, "at most 1 arg"},
		{[]string{"demo", "--for", "5"}, exitUsage, "invalid argument"},
	} {
		var out, talk bytes.Buffer
		if code := run(c.args, strings.NewReader(""), &out, &talk); code != c.code || !strings.Contains(talk.String(), c.want) {
			t.Errorf("%q: exit code %d, said %q; want %d and %q", c.args, code, talk.String(), c.code, c.want)
		}
	}
}
