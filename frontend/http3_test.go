package frontend

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// patience is how long anything here may take that should take no time.
const patience = 20 * time.Second

// scene is a frontend with HTTP/3 on loopback, with a function in the place of a backend.
type scene struct {
	*testing.T
	f     *Frontend
	n     *Listener
	loops []*loop.Loop
	cfg   ListenConfig
	book  *book
	log   *Log
	down  sync.Once
}

// book gathers the lines of the access log.
type book struct {
	mu    sync.Mutex // guards text
	text  bytes.Buffer
	lines chan string
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Write(p)
	for {
		line, err := b.text.ReadString('\n')
		if err != nil {
			b.text.WriteString(line)
			return len(p), nil
		}
		b.lines <- line
	}
}

func (b *book) Close() error { return nil }

// line returns the next line of the log.
func (s *scene) line() string {
	s.Helper()
	select {
	case l := <-s.book.lines:
		return l
	case <-time.After(patience):
		s.Fatal("no line in the log")
		return ""
	}
}

var selfSigned = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.test"}, DNSNames: []string{"a.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// onScene opens a frontend that HTTP/3 is spoken to.
func onScene(t *testing.T, c *Config, next h1.RoundTripFunc) *scene {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	s := &scene{T: t, book: &book{lines: make(chan string, 10_000)}}
	s.log = NewLog(&LogConfig{Name: "l", Format: JSON}, s.book, nil)
	s.f = New(c, next, Options{Log: s.log})
	for i := range 2 {
		l, err := loop.New(i)
		if err != nil {
			t.Fatal(err)
		}
		l.OnPanic = func(v any, stack []byte) {
			if v != "ouch" {
				t.Errorf("panic: %v\n%s", v, stack)
			}
		}
		s.loops = append(s.loops, l)
	}
	at, err := loop.ParseAddr("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := &tls.Config{Certificates: []tls.Certificate{selfSigned()}}
	quicly := own.Clone()
	quicly.NextProtos = []string{"h3"}
	s.cfg = ListenConfig{Address: at, Entries: []Entry{{Frontend: s.f}}, Loops: s.loops, TLS: own, HTTP3: quicly,
		OnError: func(err error) { t.Error(err) }}
	if s.n, err = Listen(s.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// close ends everything at once.
func (s *scene) close() {
	s.down.Do(func() {
		s.n.Abort()
		s.n.Wait()
		for _, l := range s.loops {
			l.Stop()
		}
		s.log.Close(context.Background())
		if n := s.f.Stats.Active.Load(); n != 0 {
			s.Errorf("%d exchanges are still under way", n)
		}
		if n := s.f.Connections(); n != 0 {
			s.Errorf("%d connections are left", n)
		}
	})
}

// client returns a client of HTTP/3, with a connection of its own.
func (s *scene) client() *http.Client {
	tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.test"}, DisableCompression: true}
	s.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: patience}
}

// url is that of a path.
func (s *scene) url(path string) string { return "https://" + s.n.Addr().String() + path }

// answer reads a response.
func answer(r *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

// tellRequest is a backend that says what it was asked.
func tellRequest(x *h1.Exchange) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s secure=%v length=%d\n", x.Req.Method, x.Req.Host, x.Req.Target, x.Req.Secure, x.Req.Length)
	b.Write(x.Req.Header.AppendTo(nil))
	if x.Req.Body != nil {
		content, err := readAll(x.Req.Body)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "content %d %.20q\n", len(content), content)
		if t := x.Req.Body.Trailer(); t != nil {
			fmt.Fprintf(&b, "trailer %q\n", t.AppendTo(nil))
		}
	}
	return says(b.String())(x)
}

func TestHTTP3Requests(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, tellRequest)
	c := s.client()
	big := strings.Repeat("0123456789", 100_000)
	for _, q := range []struct {
		method, path, content string
		unknown               bool // length
		trailer               http.Header
		fields                http.Header
		want                  string
	}{
		{method: "GET", path: "/x?y=%20z", want: "GET HOST /x?y=%20z secure=true length=0\nHost: HOST\r\nUser-Agent: x\r\n"},
		{method: "GET", path: "/", fields: http.Header{"X-Two": {"a", "b"}, "Cookie": {"a=1", "b=2"}, "X_Under": {"dropped"}},
			want: "GET HOST / secure=true length=0\nHost: HOST\r\nCookie: a=1; b=2\r\nUser-Agent: x\r\nX-Two: a\r\nX-Two: b\r\n"},
		{method: "DELETE", path: "/", want: "DELETE HOST / secure=true length=0\nHost: HOST\r\nUser-Agent: x\r\n"},
		{method: "POST", path: "/", content: "hello", want: "POST HOST / secure=true length=5\nHost: HOST\r\nContent-Length: 5\r\nUser-Agent: x\r\ncontent 5 \"hello\"\n"},
		{method: "POST", path: "/", want: "POST HOST / secure=true length=0\nHost: HOST\r\nContent-Length: 0\r\nUser-Agent: x\r\n"},
		{method: "PUT", path: "/", content: big, want: "PUT HOST / secure=true length=1000000\nHost: HOST\r\nContent-Length: 1000000\r\nUser-Agent: x\r\ncontent 1000000 \"01234567890123456789\"\n"},
		{method: "POST", path: "/", content: big, unknown: true, want: "POST HOST / secure=true length=-1\nHost: HOST\r\nUser-Agent: x\r\ncontent 1000000 \"01234567890123456789\"\n"},
		{method: "POST", path: "/", content: "hi", unknown: true, trailer: http.Header{"X-Sum": {"1"}, "Authorization": {"no"}, "X_Sum": {"2"}},
			want: "POST HOST / secure=true length=-1\nHost: HOST\r\nUser-Agent: x\r\ncontent 2 \"hi\"\ntrailer \"X-Sum: 1\\r\\n\"\n"},
	} {
		var body io.Reader
		if q.content != "" {
			body = strings.NewReader(q.content)
		}
		if q.unknown {
			body = io.MultiReader(body) // whose length nobody knows
		}
		r, err := http.NewRequest(q.method, s.url(q.path), body)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range q.fields {
			r.Header[k] = v
		}
		r.Header.Set("User-Agent", "x")
		r.Trailer = q.trailer
		got, err := answer(c.Do(r))
		got = strings.ReplaceAll(got, s.n.Addr().String(), "HOST")
		if err != nil || got != q.want {
			t.Errorf("%s %s: %v\ngot  %q\nwant %q", q.method, q.path, err, got, q.want)
		}
		if l := s.line(); !strings.Contains(l, `"HTTP/3.0"`) || !strings.Contains(l, `"status":200`) {
			t.Errorf("line %s", l)
		}
	}
}

// TestHTTP3Answers: each kind of answer a server gives.
func TestHTTP3Answers(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		r := &x.Resp
		r.Status, r.Length = 200, -1
		switch string(x.Req.Target) {
		case "/length":
			says("hello")(x)
			r.Header.AddString("Content-Length", "5")
			r.Header.AddString("X-Two", "a")
			r.Header.AddString("X-Two", "b")
			x.Own.AddString("Set-Cookie", "S=1")
			x.Own.AddString("Cache-Control", "private")
			r.Header.AddString("Cache-Control", "public")
			if string(x.Req.Method) == "HEAD" {
				r.Body = nil
			}
		case "/empty":
			r.Length = 0
			r.Header.AddString("Content-Length", "0")
		case "/none":
			r.Status, r.Length = 204, 0
		case "/same":
			r.Status = 304
			r.Header.AddString("ETag", `"1"`)
		case "/chunked":
			src := &source{l: x.Loop, end: io.EOF, trailer: &h1.Header{}}
			src.trailer.AddString("X-Sum", "1")
			r.Header.AddString("Trailer", "X-Sum")
			src.send([]byte("hello ")...)
			src.send([]byte("world")...)
			r.Body = src
		case "/nothing":
			r.Body = &source{l: x.Loop, end: io.EOF}
		case "/early":
			early := &h1.Response{Status: 103, Reason: []byte("Early Hints")}
			early.Header.AddString("Link", "</a.css>")
			if err := x.Inform(early); err != nil {
				return err
			}
			return says("later")(x)
		}
		return nil
	})
	c := s.client()
	for _, q := range []struct {
		method, path, content string
		status                int
		fields                string
		length                int64
	}{
		{"GET", "/length", "hello", 200, "Cache-Control: private, Content-Length: 5, Set-Cookie: S=1, X-Two: a, X-Two: b", 5},
		{"HEAD", "/length", "", 200, "Cache-Control: private, Content-Length: 5, Set-Cookie: S=1, X-Two: a, X-Two: b", 5},
		{"GET", "/empty", "", 200, "Content-Length: 0", 0},
		{"GET", "/none", "", 204, "", 0},
		{"GET", "/same", "", 304, `Etag: "1"`, -1},
		{"GET", "/chunked", "hello world", 200, "", -1},
		{"GET", "/nothing", "", 200, "", -1},
		{"GET", "/early", "later", 200, "", 5},
	} {
		r, err := http.NewRequest(q.method, s.url(q.path), nil)
		if err != nil {
			t.Fatal(err)
		}
		hints := ""
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints += fmt.Sprint(code, " ", h)
			return nil
		}}))
		resp, err := c.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", q.path, err)
		}
		content, err := answer(resp, nil)
		date := resp.Header.Get("Date")
		resp.Header.Del("Date")
		resp.Header.Del("Alt-Svc")
		var fields []string
		for _, k := range []string{"Cache-Control", "Content-Length", "Content-Type", "Etag", "Set-Cookie", "X-Two", "Trailer"} {
			for _, v := range resp.Header[k] {
				fields = append(fields, k+": "+v)
			}
		}
		if got := strings.Join(fields, ", "); err != nil || content != q.content || resp.StatusCode != q.status || date == "" || got != q.fields {
			if q.length < 0 || got != fmt.Sprintf("Content-Length: %d", q.length) { // which quic-go adds to what is short
				t.Errorf("%s %s: %d %q %q, %v", q.method, q.path, resp.StatusCode, got, content, err)
			}
		}
		if q.path == "/chunked" && resp.Trailer.Get("X-Sum") != "1" {
			t.Errorf("trailer %v", resp.Trailer)
		}
		if q.path == "/early" && hints != "103 map[Link:[</a.css>]]" {
			t.Errorf("before the answer came %q", hints)
		}
		s.line()
	}
}

// TestHTTP3Pages: what gatehouse says itself.
func TestHTTP3Pages(t *testing.T) {
	s := onScene(t, &Config{Name: "www", Hosts: []string{"127.0.0.1"}, Monitor: &Monitor{URI: "/alive"}, Limits: &Limits{Target: 1000, Field: 2000, Head: 4000, Fields: 20, Body: 1000},
		Routes: []*Route{{Paths: []string{"/no/*"}, Respond: 403}, {Paths: []string{"/there"}, Redirect: "https://b.test{uri}"}}},
		func(x *h1.Exchange) error {
			switch string(x.Req.Target) {
			case "/panic":
				panic("ouch")
			case "/fail":
				return &h1.Error{Status: 502, Side: h1.ByServer, Err: errors.New("no server")}
			}
			return tellRequest(x)
		})
	c := s.client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	many := http.Header{}
	for i := range 30 {
		many.Set(fmt.Sprintf("X-%d", i), "1")
	}
	for _, q := range []struct {
		name, method, path, host string
		fields                   http.Header
		content                  int
		status                   int
		logged                   bool
	}{
		{"a supervisor", "GET", "/alive", "", nil, 0, 200, false},
		{"a route that denies", "GET", "/no/x", "", nil, 0, 403, true},
		{"a route that redirects", "GET", "/there", "", nil, 0, 302, true},
		{"another host", "GET", "/", "c.test", nil, 0, 421, true},
		{"a panic", "GET", "/panic", "", nil, 0, 500, true},
		{"no server", "GET", "/fail", "", nil, 0, 502, true},
		{"a long target", "GET", "/" + strings.Repeat("x", 1000), "", nil, 0, 414, true},
		{"a long field", "GET", "/", "", http.Header{"X-Long": {strings.Repeat("x", 2000)}}, 0, 431, true},
		{"many fields", "GET", "/", "", many, 0, 431, true},
		{"a long head", "GET", "/", "", http.Header{"X-1": {strings.Repeat("x", 1900)}, "X-2": {strings.Repeat("x", 1900)}, "X-3": {strings.Repeat("x", 1900)}}, 0, 431, true},
		{"too much", "POST", "/", "", nil, 1001, 413, true},
		{"an expectation", "GET", "/", "", http.Header{"Expect": {"a miracle"}}, 0, 417, true},
		{"all right", "POST", "/", "", nil, 1000, 200, true},
	} {
		r, err := http.NewRequest(q.method, s.url(q.path), bytes.NewReader(make([]byte, q.content)))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = q.host
		for k, v := range q.fields {
			r.Header[k] = v
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Errorf("%s: %v", q.name, err)
			continue
		}
		body, err := answer(resp, nil)
		if resp.StatusCode != q.status || err != nil || q.status >= 400 && !strings.Contains(body, "<title>") {
			t.Errorf("%s: %d %.100q, %v", q.name, resp.StatusCode, body, err)
		}
		if q.logged {
			if l := s.line(); !strings.Contains(l, fmt.Sprintf(`"status":%d`, q.status)) {
				t.Errorf("%s: line %s", q.name, l)
			}
		}
	}
	if n := len(s.book.lines); n > 0 {
		t.Errorf("%d lines too many: %s", n, s.line())
	}
}

// TestHTTP3Streams: what a server sends arrives before the server has ended, and what a client sends before the client has.
func TestHTTP3Streams(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		x.Resp.Status, x.Resp.Length, x.Resp.Body = 200, -1, &echoBody{x.Req.Body}
		return nil
	})
	pr, pw := io.Pipe()
	r, err := http.NewRequest("POST", s.url("/"), pr)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	for i := range 50 {
		want := fmt.Sprintf("message %d", i)
		if _, err := io.WriteString(pw, want); err != nil {
			t.Fatal(err)
		}
		n, err := io.ReadFull(resp.Body, b[:len(want)])
		if string(b[:n]) != want {
			t.Fatalf("%q, %v", b[:n], err)
		}
	}
	pw.Close()
	if rest, err := answer(resp, nil); rest != "" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	if l := s.line(); !strings.Contains(l, `"termination":"--`) {
		t.Errorf("line %s", l)
	}
}

// echoBody gives back content as it comes.
type echoBody struct{ h1.Body }

// Close leaves the closing to the request.
func (b *echoBody) Close() {}

// TestHTTP3Backpressure: who does not read holds up the server, and nothing piles up in between.
func TestHTTP3Backpressure(t *testing.T) {
	const size = 64 << 20
	src := &endless{left: size, far: make(chan struct{})}
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		x.Resp.Status, x.Resp.Length, x.Resp.Body = 200, size, src
		return nil
	})
	r, err := s.client().Get(s.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-src.far:
		t.Fatal("the server sent half of it to a client that reads nothing")
	case <-time.After(300 * time.Millisecond):
	}
	go func() { <-src.far }()
	n, err := io.Copy(io.Discard, r.Body)
	r.Body.Close()
	if n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// endless is much content.
type endless struct {
	left int64
	far  chan struct{} // closed when half of it is gone
	once sync.Once
}

func (e *endless) Next(bool) (h1.Piece, error) {
	if e.left == 0 {
		return h1.Piece{}, io.EOF
	}
	if e.left -= 64 << 10; e.left < 32<<20 {
		e.once.Do(func() { close(e.far) })
	}
	return h1.PieceOf(make([]byte, 64<<10)), nil
}

func (e *endless) Trailer() *h1.Header { return nil }
func (e *endless) Close()              {}

// TestHTTP3Cancelled: a client that leaves ends what its request waits for, and an answer that breaks off does not look whole.
func TestHTTP3Cancelled(t *testing.T) {
	asked := make(chan struct{}, 10)
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		switch string(x.Req.Target) {
		case "/wait":
			var e loop.Event
			asked <- struct{}{}
			x.Cancel = func() { e.Set(x.Loop) }
			if !e.Wait(x.Loop, patience) {
				t.Error("nobody was told that the client is gone")
			}
			return &h1.Error{Side: h1.ByClient, Err: errors.New("gone"), Cause: 'C'}
		case "/upload":
			if p, err := x.Req.Body.Next(true); string(p.Data()) != "half" {
				t.Errorf("%q, %v", p.Data(), err)
			}
			asked <- struct{}{}
			_, err := readAll(x.Req.Body)
			return err
		case "/break":
			src := &source{l: x.Loop, end: &h1.Error{Status: 502, Side: h1.ByServer, Err: io.ErrUnexpectedEOF, State: 'D'}}
			src.send(make([]byte, 10_000)...)
			x.Resp.Status, x.Resp.Length, x.Resp.Body = 200, -1, src
			return nil
		}
		return says("ok")(x)
	})
	c := s.client()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", s.url("/wait"), nil)
	go func() {
		<-asked
		cancel()
	}()
	if _, err := answer(c.Do(r)); err == nil {
		t.Error("an answer after all")
	}
	if l := s.line(); !strings.Contains(l, `"termination":"C`) || !strings.Contains(l, `"status":-1`) {
		t.Errorf("line %s", l)
	}

	pr, pw := io.Pipe()
	r, _ = http.NewRequest("POST", s.url("/upload"), pr)
	go func() {
		io.WriteString(pw, "half")
		<-asked
		pw.CloseWithError(errors.New("broken"))
	}()
	if resp, err := c.Do(r); err == nil {
		if _, err := answer(resp, nil); err == nil && resp.StatusCode != 400 {
			t.Errorf("half an upload is answered by %d", resp.StatusCode)
		}
	}
	if l := s.line(); !strings.Contains(l, `"termination":"C`) {
		t.Errorf("line %s", l)
	}

	got, err := answer(c.Get(s.url("/break")))
	if he, ok := errors.AsType[*http3.Error](err); !ok || he.ErrorCode != http3.ErrCodeInternalError {
		t.Errorf("half an answer looks whole: %d bytes, %v", len(got), err)
	}
	if l := s.line(); !strings.Contains(l, `"termination":"SD`) || !strings.Contains(l, `"status":200`) {
		t.Errorf("line %s", l)
	}
	if got, err := answer(c.Get(s.url("/"))); got != "ok" || err != nil {
		t.Errorf("afterwards %q, %v", got, err)
	}
}

// TestHTTP3Patience: a client that reads nothing, or sends nothing of what it has announced, is not waited for longer than any other.
func TestHTTP3Patience(t *testing.T) {
	s := onScene(t, &Config{Name: "www", Timeouts: &h1.Timeouts{Client: 200 * time.Millisecond}}, func(x *h1.Exchange) error {
		if x.Req.Body != nil {
			return tellRequest(x)
		}
		x.Resp.Status, x.Resp.Length, x.Resp.Body = 200, 64<<20, &endless{left: 64 << 20, far: make(chan struct{})}
		return nil
	})
	c := s.client()
	r, err := c.Get(s.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	if l := s.line(); !strings.Contains(l, `"termination":"cD`) {
		t.Errorf("line %s", l)
	}
	if n, err := io.Copy(io.Discard, r.Body); err == nil {
		t.Errorf("a cut answer looks whole, with %d bytes", n)
	}
	r.Body.Close()

	pr, pw := io.Pipe()
	defer pw.Close()
	q, err := http.NewRequest("POST", s.url("/"), pr)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = c.Do(q); err != nil || r.StatusCode != 408 {
		t.Errorf("%+v, %v", r, err)
	} else {
		r.Body.Close()
	}
	if l := s.line(); !strings.Contains(l, `"status":408`) || !strings.Contains(l, `"termination":"c`) {
		t.Errorf("line %s", l)
	}
}

// TestHTTP3Goodbye: after Shutdown the request under way is answered, the connection ends, and nobody new comes in.
func TestHTTP3Goodbye(t *testing.T) {
	asked, go_ := make(chan struct{}), make(chan struct{})
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		if string(x.Req.Target) == "/slow" {
			close(asked)
			x.Loop.Block(func() { <-go_ })
		}
		return says("ok")(x)
	})
	idle, busy := s.client(), s.client()
	if got, err := answer(idle.Get(s.url("/"))); got != "ok" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	type result struct {
		body string
		err  error
	}
	over := make(chan result, 1)
	go func() {
		body, err := answer(busy.Get(s.url("/slow")))
		over <- result{body, err}
	}()
	<-asked
	s.n.Shutdown()
	late := &http.Client{Transport: &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		QUICConfig: &quic.Config{HandshakeIdleTimeout: time.Second}}, Timeout: 2 * time.Second}
	defer late.Transport.(*http3.Transport).Close()
	if got, err := answer(late.Get(s.url("/"))); err == nil {
		t.Errorf("somebody new is answered %q", got)
	}
	close(go_)
	if r := <-over; r.body != "ok" || r.err != nil {
		t.Errorf("what was under way: %q, %v", r.body, r.err)
	}
	ended := make(chan struct{})
	go func() {
		s.n.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the connections do not end")
	}
}

// TestHTTP3Reload: connections live through a reload, requests find who is in charge, and HTTP/3 is switched off and on.
func TestHTTP3Reload(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, says("one"))
	c := s.client()
	if got, err := answer(c.Get(s.url("/"))); got != "one" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	next := s.cfg
	next.Entries = []Entry{{Frontend: New(&Config{Name: "www", Limits: &Limits{Target: 100, Field: 100, Head: 200, Fields: 10}}, says("two"), Options{Log: s.log, Former: s.f})}}
	next.Entries[0].Frontend.TakeOver()
	s.n.TakeOver(next)
	for _, c := range []*http.Client{c, s.client()} {
		if got, err := answer(c.Get(s.url("/"))); got != "two" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if n := s.f.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
	off := next
	off.HTTP3 = nil
	s.n.TakeOver(off)
	for _, f := range s.n.former {
		f.alive.Wait()
	}
	short := func() *http.Client {
		tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, QUICConfig: &quic.Config{HandshakeIdleTimeout: time.Second}}
		s.Cleanup(func() { tr.Close() })
		return &http.Client{Transport: tr, Timeout: time.Second}
	}
	if got, err := answer(short().Get(s.url("/"))); err == nil {
		t.Errorf("it is off, and says %q", got)
	}
	if err := s.n.Prepare(&next); err != nil {
		t.Fatal(err)
	}
	s.n.Withdraw() // a reload that was refused
	if err := s.n.Prepare(&next); err != nil {
		t.Fatal(err)
	}
	s.n.TakeOver(next)
	if got, err := answer(s.client().Get(s.url("/"))); got != "two" || err != nil {
		t.Errorf("on again: %q, %v", got, err)
	}
}

// TestHTTP3IsAnnounced on TCP, with the port it is on.
func TestHTTP3IsAnnounced(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		if string(x.Req.Target) == "/own" {
			x.Resp.Header.AddString("Alt-Svc", "clear")
		}
		x.Resp.Header.AddString("Content-Length", "2")
		return says("ok")(x)
	})
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	for path, want := range map[string]string{"/": fmt.Sprintf(`h3=":%d"; ma=86400`, s.n.Addr().Port()), "/own": "clear"} {
		r, err := (&http.Client{Transport: tr}).Get(s.url(path))
		if _, err = answer(r, err); err != nil {
			t.Fatal(err)
		}
		if got := r.Header["Alt-Svc"]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: Alt-Svc %q, want %q", path, got, want)
		}
	}
}

// TestHTTP3IsWithdrawn: who remembers HTTP/3 is told when it is switched off, and told again of it when it is back.
func TestHTTP3IsWithdrawn(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		x.Resp.Header.AddString("Content-Length", "2")
		return says("ok")(x)
	})
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	told := func() string {
		t.Helper()
		r, err := (&http.Client{Transport: tr}).Get(s.url("/"))
		if _, err = answer(r, err); err != nil {
			t.Fatal(err)
		}
		return strings.Join(r.Header["Alt-Svc"], " and ")
	}
	on := s.cfg
	off := on
	off.HTTP3 = nil
	there := fmt.Sprintf(`h3=":%d"; ma=86400`, s.n.Addr().Port())
	for i, step := range []struct {
		c    ListenConfig
		want string
	}{{on, there}, {off, "clear"}, {off, "clear"}, {on, there}} {
		if err := s.n.Prepare(&step.c); err != nil {
			t.Fatal(err)
		}
		s.n.TakeOver(step.c)
		if got := told(); got != step.want {
			t.Errorf("step %d: Alt-Svc %q, want %q", i, got, step.want)
		}
	}
	never := s.cfg
	never.announceHTTP3(s.n.Addr(), "")
	never.HTTP3, never.altSvc = nil, ""
	if never.announceHTTP3(s.n.Addr(), ""); never.altSvc != "" {
		t.Errorf("where it never was, Alt-Svc %q", never.altSvc)
	}
}

// TestHTTP3Connections are counted and bounded as others are.
func TestHTTP3Connections(t *testing.T) {
	s := onScene(t, &Config{Name: "www", Limits: &Limits{PerSource: 2}}, says("ok"))
	for i := range 3 {
		c := s.client()
		_, err := answer(c.Get(s.url("/")))
		if (err != nil) != (i == 2) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	if n, r := s.f.Connections(), s.f.Stats.Refused.Load(); n != 2 || r == 0 {
		t.Errorf("%d connections, %d refused", n, r)
	}

	s = onScene(t, &Config{Name: "www", MaxConnections: 1}, says("ok"))
	if _, err := answer(s.client().Get(s.url("/"))); err != nil {
		t.Error(err)
	}
	_, err := answer(s.client().Get(s.url("/")))
	if te, ok := errors.AsType[*quic.TransportError](err); !ok || te.ErrorCode != quic.ConnectionRefused {
		t.Errorf("one too many: %v", err)
	}
}

// TestHTTP3Forgery is rows 49 to 53 of HTTP/2, as far as quic-go lets a client write such things: none of it reaches a server.
func TestHTTP3Forgery(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, tellRequest)
	qc, err := quic.DialAddr(t.Context(), s.n.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer qc.CloseWithError(0, "")
	if ctrl, err := qc.OpenUniStream(); err == nil {
		ctrl.Write([]byte{0, 4, 0}) // a control stream, with empty SETTINGS
	}
	good := [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}}
	with := func(more ...[2]string) [][2]string { return append(append([][2]string{}, good...), more...) }
	but := func(name, value string) (l [][2]string) {
		for _, f := range good {
			if f[0] == name {
				f[1] = value
			}
			l = append(l, f)
		}
		return l
	}
	for _, q := range []struct {
		name   string
		fields [][2]string
		status string // "": the stream is reset
	}{
		{"all right", good, "200"},
		{"a line end in a value", with([2]string{"x", "a\r\nb: c"}), ""},
		{"NUL in a value", with([2]string{"x", "a\x00b"}), ""},
		{"a blank before a value", with([2]string{"x", " a"}), ""},
		{"an upper-case name", with([2]string{"X", "a"}), ""},
		{"a colon in a name", with([2]string{"x:y", "a"}), ""},
		{"transfer-encoding", with([2]string{"transfer-encoding", "chunked"}), ""},
		{"connection", with([2]string{"connection", "close"}), ""},
		{"te", with([2]string{"te", "gzip"}), ""},
		{"a blank in the path", but(":path", "/a b"), ""},
		{"a line end in the path", but(":path", "/a\r\nx: y"), ""},
		{"no slash", but(":path", "a"), ""},
		{"a fragment", but(":path", "/a#b"), ""},
		{"a blank in the method", but(":method", "GET /x"), ""},
		{"userinfo", but(":authority", "u@a.test"), ""},
		{"two hosts", but(":authority", "a.test,b.test"), ""},
		{"another Host", with([2]string{"host", "b.test"}), ""},
		{"a path twice", with([2]string{":path", "/"}), ""},
		{"two lengths", with([2]string{"content-length", "1"}, [2]string{"content-length", "2"}), ""},
		{"content that does not come", with([2]string{"content-length", "5"}), ""},
		{"CONNECT", [][2]string{{":method", "CONNECT"}, {":authority", "a.test:443"}}, "405"},
		{"another protocol", append(but(":method", "CONNECT"), [2]string{":protocol", "connect-udp"}), "501"},
	} {
		raw, err := qc.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		raw.SetDeadline(time.Now().Add(patience))
		raw.Write(headersFrame(q.fields))
		raw.Close()
		status := ""
		b, err := io.ReadAll(raw)
		if err == nil {
			status = statusIn(b)
		}
		if status != q.status {
			t.Errorf("%s: status %q, %v, want %q", q.name, status, err, q.status)
		}
		if q.status == "" {
			if se, ok := errors.AsType[*quic.StreamError](err); !ok || se.ErrorCode != quic.StreamErrorCode(http3.ErrCodeMessageError) {
				t.Errorf("%s: ended by %v", q.name, err)
			}
		}
	}
}

// TestHTTP3Retry: when many handshakes are under way, those who come prove their address first, and beyond all bounds nobody comes in.
func TestHTTP3Retry(t *testing.T) {
	s := onScene(t, &Config{Name: "www", Timeouts: &h1.Timeouts{Request: time.Second}}, says("ok"))
	side := s.n.quic.Load()
	verify := side.tr.VerifySourceAddress
	if verify(nil) {
		t.Error("a client is sent round without need")
	}
	side.greets.Add(retryAbove)
	if !verify(nil) {
		t.Error("a flood is let in unchecked")
	}
	if got, err := answer(s.client().Get(s.url("/"))); got != "ok" || err != nil {
		t.Errorf("with a retry: %q, %v", got, err)
	}
	side.greets.Add(greetAtMost)
	if _, err := answer(s.client().Get(s.url("/"))); err == nil {
		t.Error("a client comes in beyond all bounds")
	}
	side.greets.Add(-retryAbove - greetAtMost)
	if got, err := answer(s.client().Get(s.url("/"))); got != "ok" || err != nil {
		t.Errorf("afterwards: %q, %v", got, err)
	}
	// One that its client gave up, or began twice, ends with its time.
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for late := time.After(patience); side.greets.Load() != 0; {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%d handshakes are never over", side.greets.Load())
		}
	}
}
