package frontend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"gatehouse/backend/h1"
)

// frame3 is a frame of HTTP/3 (RFC 9114 7.1).
func frame3(kind uint64, payload []byte) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload))), payload...)
}

// verdict3 says how a stream ended: its status, or the code of the error that ended it or its connection.
func verdict3(b []byte, err error) string {
	if se, ok := errors.AsType[*quic.StreamError](err); ok {
		return fmt.Sprintf("stream %#x", uint64(se.ErrorCode))
	}
	if ae, ok := errors.AsType[*quic.ApplicationError](err); ok {
		return fmt.Sprintf("connection %#x", uint64(ae.ErrorCode))
	}
	if err != nil {
		return err.Error()
	}
	return statusIn(b)
}

// TestHTTP3Frames: what is no request by the rules of RFC 9114, or far too much of one, ends as those rules say. No server takes any of it for
// whole, and neighbours on the connection do not notice, but where the error is the connection's.
func TestHTTP3Frames(t *testing.T) {
	var whole atomic.Int64
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		if x.Req.Body != nil {
			if _, err := readAll(x.Req.Body); err != nil {
				return err
			}
		}
		whole.Add(1)
		return says("ok")(x)
	})
	base := [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}}
	with := func(more ...[2]string) []byte { return headersFrame(append(append([][2]string{}, base...), more...)) }
	data := func(n int) []byte { return frame3(0, bytes.Repeat([]byte("d"), n)) }
	section := func(lines []byte) []byte { return frame3(1, append(with()[2:len(with()):len(with())], lines...)) }
	if head := with(); len(head) > 64 || int(head[1]) != len(head)-2 {
		t.Fatalf("the head is not where section looks for it: % x", head)
	}
	const csp = "\xff\x16" // content-security-policy: script-src 'none'; …, 78 bytes of two (RFC 9204 A, 85)
	var many [][2]string
	for i := range 150 {
		many = append(many, [2]string{fmt.Sprint("x-", i), "y"})
	}
	for _, q := range []struct {
		name, want string
		bytes      []byte
	}{
		{"all right", "200", slicesOf(with([2]string{"content-length", "5"}), data(5))},
		{"in two frames", "200", slicesOf(with([2]string{"content-length", "5"}), data(2), data(3))},
		{"unknown frames between", "200", slicesOf(frame3(0x21, make([]byte, 100)), with(), frame3(0x40, nil), data(5), frame3(0x21, nil))},
		{"trailers", "200", slicesOf(with(), data(5), headersFrame([][2]string{{"x-sum", "5"}}))},
		{"content that is too short", "stream 0x10e", slicesOf(with([2]string{"content-length", "6"}), data(5))},
		{"content that is too long", "stream 0x10e", slicesOf(with([2]string{"content-length", "4"}), data(5))},
		{"content where none is said", "stream 0x10e", slicesOf(with([2]string{"content-length", "0"}), data(5))},
		{"content that is too long by a frame", "stream 0x10e", slicesOf(with([2]string{"content-length", "5"}), data(5), data(1))},
		{"trailers alone", "200", slicesOf(with(), headersFrame([][2]string{{"x-sum", "5"}}))},
		{"trailers alone, with no content announced", "200", slicesOf(with([2]string{"content-length", "0"}), headersFrame([][2]string{{"x-sum", "5"}}))},
		{"trailers of a GET", "200", slicesOf(headersFrame([][2]string{{":method", "GET"}, base[1], base[2], base[3]}), headersFrame([][2]string{{"x-sum", "5"}}))},
		{"empty frames", "200", slicesOf(with([2]string{"content-length", "0"}), data(0), data(0))},
		{"half a frame of content whose length is said", "stream 0x10e", slicesOf(with([2]string{"content-length", "5"}), data(5)[:4])},
		// quic-go takes that for the end, where it "MUST be treated as a connection error" (RFC 9114 7.1), and does not let us see the difference.
		{"half a frame of content whose length nobody says", "200", slicesOf(with(), data(5)[:4])},
		{"half a head", "stream 0x10d", with()[:10]},
		{"content before the head", "connection 0x105", data(5)},
		{"a frame of HTTP/2", "connection 0x105", slicesOf(frame3(6, make([]byte, 8)), with())},
		{"SETTINGS on a request", "connection 0x105", slicesOf(frame3(4, nil), with())},
		{"a pseudo-header in the trailers", "stream 0x10e", slicesOf(with(), data(5), headersFrame([][2]string{{":path", "/"}}))},
		// The next three are errors of the connection by the letter, which quic-go lets go on.
		{"content behind the trailers", "stream 0x10e", slicesOf(with(), data(5), headersFrame([][2]string{{"x-sum", "5"}}), data(5))},
		{"the dynamic table", "stream 0x200", frame3(1, []byte{2, 0, 0x80})},
		{"an index that is none", "stream 0x200", section([]byte("\xff\x7f"))},
		{"many fields", "431", with(many...)},
		{"a long field", "431", with([2]string{"x", strings.Repeat("y", 20_000)})},
		{"fields of two bytes each", "431", section(bytes.Repeat([]byte(csp), 500))},
		{"very many of them", "431", section(bytes.Repeat([]byte(csp), 50_000))},
		{"a head that is announced to be endless", "431", append(quicvarint.Append([]byte{1}, 1<<40), make([]byte, 100_000)...)},
	} {
		qc := s.dialRaw()
		ask := func(b []byte) string {
			str, err := qc.OpenStreamSync(t.Context())
			if err != nil {
				return verdict3(nil, err)
			}
			str.SetDeadline(time.Now().Add(patience))
			go func() {
				str.Write(b)
				str.Close()
			}()
			return verdict3(io.ReadAll(str))
		}
		before := whole.Load()
		got := ask(q.bytes)
		if got != q.want {
			t.Errorf("%s: %s, want %s", q.name, got, q.want)
		}
		if n := whole.Load() - before; n != 0 && q.want != "200" {
			t.Errorf("%s: a server took it for a request", q.name)
		}
		if !strings.HasPrefix(q.want, "connection") {
			if got := ask(with()); got != "200" {
				t.Errorf("%s: the next request: %s", q.name, got)
			}
		}
	}
}

// slicesOf puts bytes together.
func slicesOf(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// trailed is content with a trailer section.
type trailed struct {
	said    bool
	trailer h1.Header
}

func (b *trailed) Next(bool) (h1.Piece, error) {
	if b.said {
		return h1.Piece{}, io.EOF
	}
	b.said = true
	return h1.PieceOf([]byte("abc")), nil
}

func (b *trailed) Trailer() *h1.Header { return &b.trailer }
func (b *trailed) Close()              {}

// TestHTTP3TrailersOfKnownLength: trailers reach the client behind content whose length was said too, which HTTP/1 cannot do.
func TestHTTP3TrailersOfKnownLength(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		b := &trailed{}
		b.trailer.AddString("X-Sum", "3")
		x.Resp.Header.AddString("Content-Length", "3")
		x.Resp.Status, x.Resp.Length, x.Resp.Framing, x.Resp.Body = 200, 3, h1.ByLength, b
		return nil
	})
	r, err := s.client().Get(s.url("/"))
	body, err := answer(r, err)
	if err != nil || body != "abc" || r.ContentLength != 3 || r.Trailer.Get("X-Sum") != "3" {
		t.Errorf("%q of %d, %v, %v", body, r.ContentLength, r.Trailer, err)
	}
}
