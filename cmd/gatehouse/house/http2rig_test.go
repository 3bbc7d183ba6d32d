package house_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// both lets a plain bind take HTTP/2 from clients that begin with it.
const both = `protocols = ["h2", "http/1.1"]`

// h2client returns a client of its own that speaks HTTP/2.
func (r *rig) h2client() *http.Client {
	t := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, r.addr)
	}
	r.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// url returns the URL of a path.
func (r *rig) url(path string) string {
	if r.tls {
		return "https://a.test" + path
	}
	return "http://a.test" + path
}

// do sends a request and reads the whole answer.
func do(t testing.TB, c *http.Client, q *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := c.Do(q)
	if err != nil {
		t.Fatalf("%s %s: %v", q.Method, q.URL, err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatalf("%s %s: content: %v", q.Method, q.URL, err)
	}
	return resp, string(b)
}

// req makes a request. lines are fields "Name: value".
func req(t testing.TB, method, url string, body io.Reader, lines ...string) *http.Request {
	t.Helper()
	q, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		k, v, _ := strings.Cut(l, ": ")
		q.Header.Add(k, v)
	}
	return q
}

// h2peer is a client that speaks HTTP/2 frame by frame.
type h2peer struct {
	testing.TB
	nc  net.Conn
	fr  *http2.Framer
	enc *hpack.Encoder
	buf bytes.Buffer
	dec *hpack.Decoder

	resets int // of streams, that response has come across while it waited for another one
}

// raw connects to the house and sends the preface and SETTINGS.
func (r *rig) raw(settings ...http2.Setting) *h2peer {
	r.Helper()
	p := r.silent()
	p.begin(settings...)
	return p
}

// silent connects to the house and sends nothing.
func (r *rig) silent() *h2peer {
	r.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	p := &h2peer{TB: r.TB, nc: nc}
	p.init()
	if r.tls {
		p.overTLS()
	}
	return p
}

// overTLS begins TLS.
func (p *h2peer) overTLS() {
	p.Helper()
	tc := tls.Client(p.nc, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := tc.Handshake(); err != nil {
		p.Fatal(err)
	}
	p.nc = tc
	p.init()
}

func (p *h2peer) init() {
	p.fr = http2.NewFramer(p.nc, p.nc)
	p.fr.AllowIllegalWrites = true
	p.fr.SetMaxReadFrameSize(1 << 20)
	p.enc = hpack.NewEncoder(&p.buf)
	p.dec = hpack.NewDecoder(4096, nil)
}

func (p *h2peer) begin(settings ...http2.Setting) {
	p.write(http2.ClientPreface)
	p.fr.WriteSettings(settings...)
}

// write sends bytes as they are. That the house has closed the connection is no error here: reading tells.
func (p *h2peer) write(s string) { io.WriteString(p.nc, s) }

// block makes a header block of lines "name: value".
func (p *h2peer) block(lines ...string) []byte {
	p.buf.Reset()
	for _, l := range lines {
		i := strings.Index(l[1:], ": ") + 1
		p.enc.WriteField(hpack.HeaderField{Name: l[:i], Value: l[i+2:]})
	}
	return p.buf.Bytes()
}

// asking are the fields of a request for a path.
func asking(path string, more ...string) []string {
	return append([]string{":method: GET", ":scheme: http", ":authority: a.test", ":path: " + path}, more...)
}

// headers sends a HEADERS frame.
func (p *h2peer) headers(id uint32, end bool, lines ...string) {
	p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(lines...), EndStream: end, EndHeaders: true})
}

// next reads a frame.
func (p *h2peer) next() (http2.Frame, error) {
	f, err := p.fr.ReadFrame()
	if h, ok := f.(*http2.HeadersFrame); ok {
		p.dec.SetEmitFunc(func(hpack.HeaderField) {})
		p.dec.Write(h.HeaderBlockFragment())
	}
	return f, err
}

// verdict reads until the connection ends, or the stream does (0: only the connection), and says how: "GOAWAY code", "RST code", "END", or
// "EOF" where nothing is said. A GOAWAY must be followed by the end of the connection.
func (p *h2peer) verdict(id uint32) string {
	p.Helper()
	for {
		f, err := p.next()
		if err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				p.Fatal("the house says nothing")
			}
			return "EOF"
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if _, err := io.Copy(io.Discard, p.nc); err != nil && !isReset(err) {
				p.Errorf("after GOAWAY: %v", err)
			}
			return "GOAWAY " + f.ErrCode.String()
		case *http2.RSTStreamFrame:
			if id == f.StreamID {
				return "RST " + f.ErrCode.String()
			}
		case *http2.HeadersFrame:
			if id == f.StreamID && f.StreamEnded() {
				return "END"
			}
		case *http2.DataFrame:
			if id == f.StreamID && f.StreamEnded() {
				return "END"
			}
		}
	}
}

// alive checks that the connection still works.
func (p *h2peer) alive() {
	p.Helper()
	data := [8]byte{1, 2, 3}
	p.fr.WritePing(false, data)
	for {
		f, err := p.next()
		if err != nil {
			p.Fatalf("the connection has ended: %v", err)
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			p.Fatalf("%v", g)
		}
		if g, ok := f.(*http2.PingFrame); ok && g.IsAck() && g.Data == data {
			return
		}
	}
}

// heads waits for the heads of n answers.
func (p *h2peer) heads(n int) {
	p.Helper()
	for n > 0 {
		f, err := p.next()
		if err != nil {
			p.Fatal(err)
		}
		if _, ok := f.(*http2.HeadersFrame); ok {
			n--
		}
	}
}

// response reads frames until a stream has its answer whole, and returns its fields and content. Windows are the caller's affair.
func (p *h2peer) response(id uint32) (head map[string]string, body string) {
	p.Helper()
	head = map[string]string{}
	var content strings.Builder
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			p.Fatalf("stream %d: %v", id, err)
		}
		end := false
		switch f := f.(type) {
		case *http2.HeadersFrame:
			p.dec.SetEmitFunc(func(h hpack.HeaderField) {
				if f.StreamID == id {
					head[h.Name] = h.Value
				}
			})
			if _, err := p.dec.Write(f.HeaderBlockFragment()); err != nil {
				p.Fatal(err)
			}
			end = f.StreamID == id && f.StreamEnded()
		case *http2.DataFrame:
			if f.StreamID == id {
				content.Write(f.Data())
				end = f.StreamEnded()
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				p.Fatalf("%v", f)
			}
			p.resets++
		case *http2.GoAwayFrame:
			p.Fatalf("%v", f)
		}
		if end {
			return head, content.String()
		}
	}
}

// sizes is a server that answers /N by N bytes, at once.
func sizes(w *wire) {
	for {
		q, err := w.request()
		if err != nil {
			return
		}
		n := 0
		fmt.Sscanf(q.target, "/%d", &n)
		if w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n))) != nil {
			return
		}
	}
}

// hexLine begins a chunk.
func hexLine(n int) string { return fmt.Sprintf("%x\r\n", n) }

// both returns a client that speaks what the house offers.
func (r *rig) both() *http.Client {
	t := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, r.addr)
	}
	r.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: patience}
}

// acceptOf is what a server answers to a Sec-WebSocket-Key (RFC 6455 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
