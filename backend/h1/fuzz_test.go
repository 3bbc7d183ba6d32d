package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// wide are limits that nothing in these tests reaches.
var wide = ParseLimits{Target: 1 << 20, Field: 1 << 20, Head: 1 << 20, Fields: 10_000, Underscores: true}

func seed(f *testing.F, kind string, add func(v verdict)) {
	for _, v := range verdicts(f) {
		if v.kind == kind && len(v.raw) < 4<<10 {
			add(v)
		}
	}
}

// FuzzRequest holds what Parse accepts against net/http, which must read the same, and against Parse itself: what is
// written of it must read the same again, and pieces must read like the whole.
func FuzzRequest(f *testing.F) {
	seed(f, "request", func(v verdict) { f.Add(v.raw, uint8(7)) })
	f.Add([]byte(browserHead), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		var r, pieces Request
		n, err := r.Parse(b, nil)
		pn, perr := feed(b, int(step)+1, func(b []byte) (int, error) { return pieces.Parse(b, nil) })
		if pn != n || (perr == nil) != (err == nil) {
			t.Fatalf("in pieces of %d: %d, %v; at once: %d, %v", int(step)+1, pn, perr, n, err)
		}
		if n == 0 {
			return
		}
		if x, y := describeRequest(&r), describeRequest(&pieces); x != y {
			t.Fatalf("in pieces of %d:\n%s\nat once:\n%s", int(step)+1, y, x)
		}
		compareRequest(t, &r, bytes.TrimLeft(b, "\r\n"))

		var again Request
		out := fmt.Appendf(nil, "%s %s HTTP/1.%d\r\n", r.Method, r.Target, r.Minor)
		out = r.Header.AppendTo(out)
		out = append(out, framingLine(r.Framing)...)
		out = append(out, "\r\n"...)
		m, err := again.Parse(append(out, b[n:]...), &wide)
		if m != len(out) {
			t.Fatalf("%q reads as %d bytes, %v", out, m, err)
		}
		// What belongs to the hop is not written.
		again.Close, again.Upgrade, again.Continue, again.Trailers = r.Close, r.Upgrade, r.Continue, r.Trailers
		if x, y := describeRequest(&r), describeRequest(&again); x != y {
			t.Fatalf("written and read again:\n%s\nbefore:\n%s", y, x)
		}
	})
}

func framingLine(f Framing) string {
	if f == Chunked {
		return "Transfer-Encoding: chunked\r\n"
	}
	return ""
}

func describeRequest(r *Request) string {
	return fmt.Sprintf("%q %q %q %d %v %d close=%v %q %v %v\n%q", r.Method, r.Target, r.Host, r.Minor, r.Framing, r.Length,
		r.Close, r.Upgrade, r.Continue, r.Trailers, r.Header.AppendTo(nil))
}

func describeResponse(r *Response) string {
	return fmt.Sprintf("%d %q %d %v %d close=%v %q\n%q", r.Status, r.Reason, r.Minor, r.Framing, r.Length, r.Close, r.Upgrade,
		r.Header.AppendTo(nil))
}

func compareRequest(t *testing.T, r *Request, b []byte) {
	t.Helper()
	q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		// It reads a target to its path and refuses a broken percent escape; a forbidden name in Trailer is refused here
		// when it comes. Neither moves the end of a message.
		if _, ok := errors.AsType[*url.Error](err); ok || strings.Contains(err.Error(), "bad trailer key") {
			return
		}
		t.Fatalf("net/http refuses it: %v\n%s", err, describeRequest(r))
	}
	target, host := q.RequestURI, q.Host
	if _, rest, ok := strings.Cut(target, "://"); ok && target[0] != '/' && target != "*" {
		switch target = strings.TrimPrefix(rest, host); {
		case target == "" && q.Method == "OPTIONS":
			target = "*"
		case target == "" || target[0] == '?':
			target = "/" + target
		}
	}
	if q.Method != string(r.Method) || target != string(r.Target) || host != string(r.Host) || q.ProtoMinor != r.Minor || q.Close != r.Close {
		t.Fatalf("net/http reads %q %q %q %d close=%v\n%s", q.Method, target, host, q.ProtoMinor, q.Close, describeRequest(r))
	}
	if q.ContentLength != r.Length || (len(q.TransferEncoding) == 1) != (r.Framing == Chunked) || (r.Length > 0) != (r.Framing == ByLength) {
		t.Fatalf("net/http reads %d %q\n%s", q.ContentLength, q.TransferEncoding, describeRequest(r))
	}
	compareHeader(t, &r.Header, q.Header, true)
}

// compareHeader checks that every field is there with the values that net/http sees, and that those which are not were
// taken out on purpose.
func compareHeader(t *testing.T, h *Header, want http.Header, request bool) {
	t.Helper()
	got := http.Header{}
	for i := range h.Len() {
		if _, name, value := h.At(i); name != nil {
			k := textproto.CanonicalMIMEHeaderKey(string(name))
			got[k] = append(got[k], string(value))
		}
	}
	for k, v := range got {
		switch k {
		case "Host", "Trailer": // not in its header
			if request || k == "Trailer" {
				continue
			}
		case "Content-Length":
			x, err := strconv.ParseInt(want.Get(k), 10, 64)
			if err != nil || v[0] != strconv.FormatInt(x, 10) {
				t.Fatalf("Content-Length %q, net/http has %q", v, want[k])
			}
			continue
		case "Cache-Control":
			if got.Get("Pragma") != "" { // it makes up "Cache-Control: no-cache" of a Pragma
				continue
			}
		}
		if !slices.Equal(v, want[k]) {
			t.Fatalf("%s is %q, net/http has %q", k, v, want[k])
		}
	}
	named := map[string]bool{}
	for _, v := range want["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			named[textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name))] = true
		}
	}
	for k := range want {
		if got[k] != nil || named[k] || request && strings.Contains(k, "_") {
			continue
		}
		if id := nameOf([]byte(k)); !hopByHop.has(id) && id != Trailer && id != ContentLength && id != CacheControl {
			t.Fatalf("%s: %q got lost", k, want[k])
		}
	}
}

// FuzzResponse is FuzzRequest for responses.
func FuzzResponse(f *testing.F) {
	methods := []string{"GET", "HEAD", "POST", "CONNECT"}
	seed(f, "response", func(v verdict) { f.Add(v.raw, uint8(slices.Index(methods, v.words[0])), uint8(7)) })
	f.Add([]byte(serverHead), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, m, step uint8) {
		method := []byte(methods[int(m)%len(methods)])
		var r, pieces Response
		n, err := r.Parse(b, method, nil)
		pn, perr := feed(b, int(step)+1, func(b []byte) (int, error) { return pieces.Parse(b, method, nil) })
		if pn != n || (perr == nil) != (err == nil) {
			t.Fatalf("in pieces of %d: %d, %v; at once: %d, %v", int(step)+1, pn, perr, n, err)
		}
		if n == 0 {
			return
		}
		if x, y := describeResponse(&r), describeResponse(&pieces); x != y {
			t.Fatalf("in pieces of %d:\n%s\nat once:\n%s", int(step)+1, y, x)
		}
		compareResponse(t, &r, method, b)

		var again Response
		out := fmt.Appendf(nil, "HTTP/1.%d %d %s\r\n", r.Minor, r.Status, r.Reason)
		out = append(r.Header.AppendTo(out), framingLine(r.Framing)...)
		out = append(out, "\r\n"...)
		k, err := again.Parse(append(out, b[n:]...), method, &wide)
		if k != len(out) {
			t.Fatalf("%q reads as %d bytes, %v", out, k, err)
		}
		again.Close, again.Upgrade = r.Close, r.Upgrade
		if r.Framing == NoContent {
			again.Length = r.Length // of a HEAD to chunks
		}
		if x, y := describeResponse(&r), describeResponse(&again); x != y {
			t.Fatalf("written and read again:\n%s\nbefore:\n%s", y, x)
		}
	})
}

func compareResponse(t *testing.T, r *Response, method, b []byte) {
	t.Helper()
	p, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), &http.Request{Method: string(method)})
	if err != nil {
		if strings.Contains(err.Error(), "bad trailer key") {
			return
		}
		t.Fatalf("net/http refuses it: %v\n%s", err, describeResponse(r))
	}
	if p.StatusCode != r.Status || p.ProtoMinor != r.Minor || strings.TrimSuffix(p.Status, " ") != strings.TrimSuffix(fmt.Sprintf("%d %s", r.Status, r.Reason), " ") {
		t.Fatalf("net/http reads %q %d\n%s", p.Status, p.ProtoMinor, describeResponse(r))
	}
	chunked, length := len(p.TransferEncoding) == 1, p.ContentLength
	ok := true
	switch r.Framing {
	case Chunked:
		ok = chunked
	case ByLength:
		ok = !chunked && length == r.Length
	case UntilClose:
		ok = !chunked && length == -1
	case NoContent:
		// It leaves CONNECT to its Transport.
		if string(method) != "CONNECT" {
			rest, err := io.ReadAll(p.Body)
			ok = len(rest) == 0 && err == nil
		}
	}
	if !ok {
		t.Fatalf("net/http reads length %d, %q\n%s", length, p.TransferEncoding, describeResponse(r))
	}
	compareHeader(t, &r.Header, p.Header, false)
}

// FuzzChunks checks that chunks in pieces are decoded like the whole, and what is accepted as net/http decodes it.
func FuzzChunks(f *testing.F) {
	seed(f, "chunks", func(v verdict) { f.Add(v.raw, uint16(3)) })
	f.Add([]byte("1\r\na\r\n2;x\r\nbc\r\n3\r\ndef\r\n0\r\nA: b\r\n\r\n"), uint16(10))
	f.Fuzz(func(t *testing.T, b []byte, step uint16) {
		whole, pieces := decodeChunks(b, max(len(b), 1)), decodeChunks(b, int(step)+1)
		if whole.done != pieces.done || (whole.err == nil) != (pieces.err == nil) || !bytes.Equal(whole.content, pieces.content) || whole.used != pieces.used && whole.err == nil {
			t.Fatalf("in pieces of %d: %+v\nat once: %+v", int(step)+1, pieces, whole)
		}
		if x, y := trailerText(whole.trailer), trailerText(pieces.trailer); x != y {
			t.Fatalf("trailers in pieces of %d: %q, at once: %q", int(step)+1, y, x)
		}
		if !whole.done {
			return
		}
		head := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		p, err := http.ReadResponse(bufio.NewReaderSize(io.MultiReader(strings.NewReader(head), bytes.NewReader(b)), 1<<20), nil)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(p.Body)
		if err != nil {
			for _, s := range []string{"too much non-data", "line too long", "suspiciously long trailer"} {
				if strings.Contains(err.Error(), s) {
					return
				}
			}
			t.Fatalf("net/http refuses it: %v", err)
		}
		if !bytes.Equal(content, whole.content) {
			t.Fatalf("decoded %q, net/http has %q", whole.content, content)
		}
		if whole.trailer != nil {
			for i := range whole.trailer.Len() {
				_, name, value := whole.trailer.At(i)
				if k := textproto.CanonicalMIMEHeaderKey(string(name)); !slices.Contains(p.Trailer[k], string(value)) {
					t.Fatalf("trailer %s: %q, net/http has %q", name, value, p.Trailer[k])
				}
			}
		}
	})
}

func trailerText(h *Header) string {
	if h == nil {
		return "none"
	}
	return string(h.AppendTo(nil))
}
