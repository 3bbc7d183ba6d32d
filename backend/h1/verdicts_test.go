package h1

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// verdict is a message and what is to become of it. The files of testdata/verdicts have it in their first line:
//
//	request WANT CONDITION... -- why
//	response METHOD WANT CONDITION... -- why
//	chunks WANT CONDITION... -- why
//
// and the message, byte for byte, behind it. WANT is the status of a refusal, or the framing of what is accepted:
// "none", "length=5", "chunked", "until"; of chunks "bad", "more" (not complete) or "content=…". Conditions: "host=",
// "target=", "header=Name:value", "kept=Name", "gone=Name", "trailer=Name:value", "rest=N" bytes left over, "close",
// "upgrade", "continue", "trailers", "trailer" or "!" and one of these; "underscores" is a setting.
type verdict struct {
	name  string
	kind  string
	words []string
	raw   []byte
}

// verdicts returns those of testdata and those too large for it.
func verdicts(t testing.TB) []verdict {
	t.Helper()
	files, err := filepath.Glob("testdata/verdicts/*.txt")
	if err != nil || len(files) < 150 {
		t.Fatalf("testdata/verdicts: %d files, %v", len(files), err)
	}
	var all []verdict
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		first, raw, ok := bytes.Cut(b, []byte("\n"))
		spec, _, ok2 := strings.Cut(string(first), " -- ")
		if !ok || !ok2 {
			t.Fatalf("%s: no verdict in the first line", f)
		}
		kind, rest, _ := strings.Cut(spec, " ")
		all = append(all, verdict{strings.TrimSuffix(filepath.Base(f), ".txt"), kind, strings.Split(rest, " "), raw})
	}
	return append(all, largeVerdicts()...)
}

func largeVerdicts() []verdict {
	const post = "POST / HTTP/1.1\r\nHost: h\r\n"
	const ok = "HTTP/1.1 200 OK\r\n"
	rep := strings.Repeat
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "X%d: y\r\n", i)
		}
		return b.String()
	}
	// pad makes a head of n bytes of fields of 1000 bytes.
	pad := func(start string, n int) string {
		for len(start)+1002+10 <= n {
			start += "X: " + rep("y", 997) + "\r\n"
		}
		return start + "X: " + rep("y", n-len(start)-7) + "\r\n\r\n"
	}
	var all []verdict
	for _, c := range []struct{ name, spec, raw string }{
		{"08-te-long", "request 400", post + "Transfer-Encoding: " + rep("chunked,", 1000) + "chunked\r\n\r\n"},
		{"26-method-100k", "request 501", rep("M", 100_000) + " / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"27-blank-10000", "request 400", rep("\r\n", 10_000)},
		{"35-target-8000", "request none", "GET /" + rep("a", 8000) + " HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"35-target-16K", "request none", "GET /" + rep("a", 16<<10-1) + " HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"35-target-16K+1", "request 414", "GET /" + rep("a", 16<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"35-target-1M", "request 414", "GET /" + rep("a", 1<<20) + " HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"35-target-endless", "request 414", "GET /" + rep("a", 20<<10)},
		{"36-field-16K", "request none", post + "X: " + rep("a", 16<<10-3) + "\r\n\r\n"},
		{"36-field-16K+1", "request 431", post + "X: " + rep("a", 16<<10-2) + "\r\n\r\n"},
		{"36-field-endless", "request 431", post + "X: " + rep("a", 20<<10)},
		{"36-name-endless", "request 431", post + rep("a", 20<<10)},
		{"36-head-32K", "request none", pad(post, 32<<10)},
		{"36-head-32K+1", "request 431", pad(post, 32<<10+1)},
		{"36-head-32K+1-bad", "request 431", pad(post, 40<<10)[:40<<10-2] + "bad line\r\n\r\n"},
		{"36-fields-100", "request none", post + fields(99) + "\r\n"},
		{"36-fields-101", "request 431", post + fields(100) + "\r\n"},
		{"36-fields-dropped", "request 431", post + rep("a_b: c\r\n", 100) + "\r\n"},
		{"37-fields-10000", "request 431", post + fields(10_000) + "\r\n"},
		{"37-head-1M", "request 431", pad(post, 1<<20)},
		{"88-head-64K", "response GET until", pad(ok, 64<<10)},
		{"88-head-64K+1", "response GET 502", pad(ok, 64<<10+1)},
		{"88-fields-256", "response GET until", ok + fields(256) + "\r\n"},
		{"88-fields-257", "response GET 502", ok + fields(257) + "\r\n"},
		{"88-fields-300", "response GET 502", ok + fields(300) + "\r\n"},
		{"88-name-40000", "response GET 502", ok + rep("a", 40_000) + ": b\r\n\r\n"},
		{"88-reason-endless", "response GET 502", ok[:len(ok)-2] + rep("a", 65<<10)},
		{"12-ext-64K", "chunks bad", "5;a=" + rep("b", 64<<10) + "\r\nhello\r\n0\r\n\r\n"},
		{"12-ext-tiny", "chunks bad", rep("1;a=b\r\nx\r\n", 6000) + "0\r\n\r\n"},
		{"12-ext-16K", "chunks content=hello", "5;" + rep("a", 16<<10-1) + "\r\nhello\r\n0\r\n\r\n"},
		{"12-ext-16K+1", "chunks bad", "5;" + rep("a", 16<<10) + "\r\nhello\r\n0\r\n\r\n"},
		{"12-tiny", "chunks content=" + rep("x", 3000), rep("1\r\nx\r\n", 3000) + "0\r\n\r\n"},
		{"14-trailer-8K", "chunks content= trailer", "0\r\nX: " + rep("a", 8<<10-7) + "\r\n\r\n"},
		{"14-trailer-8K+1", "chunks bad", "0\r\nX: " + rep("a", 8<<10-6) + "\r\n\r\n"},
		{"14-trailer-endless", "chunks bad", "0\r\nX: " + rep("a", 9<<10)},
		{"14-trailer-64", "chunks content= trailer", "0\r\n" + fields(64) + "\r\n"},
		{"14-trailer-65", "chunks bad", "0\r\n" + fields(65) + "\r\n"},
	} {
		w := strings.Split(c.spec, " ")
		all = append(all, verdict{c.name, w[0], w[1:], []byte(c.raw)})
	}
	return all
}

// outcome is what became of a message, in the words of a verdict.
type outcome struct {
	want   string
	err    error
	header *Header
	rest   int
	host   string
	target string
	flags  map[string]bool
}

// feed gives b to parse in growing pieces until it has an answer, and checks that it gave one where it had to.
func feed(b []byte, step int, parse func([]byte) (int, error)) (int, error) {
	for n := min(step, len(b)); ; n = min(n+step, len(b)) {
		p := b[:n]
		if n == len(b) || n < 1<<10 {
			// A copy: what Parse keeps must not be a range of what it was given.
			p = bytes.Clone(p)
		}
		used, err := parse(p)
		if n == len(b) || n < 1<<10 {
			clear(p)
		}
		if used != 0 || err != nil || n == len(b) {
			return used, err
		}
	}
}

func framingWord(f Framing, length int64) string {
	switch f {
	case ByLength:
		return fmt.Sprintf("length=%d", length)
	case Chunked:
		return "chunked"
	case UntilClose:
		return "until"
	}
	return "none"
}

// judge runs the message of v in pieces of step bytes.
func (v *verdict) judge(t *testing.T, step int) (o outcome) {
	t.Helper()
	var n int
	switch v.kind {
	case "request":
		lim := new(ParseLimits)
		for _, w := range v.words {
			lim.Underscores = lim.Underscores || w == "underscores"
		}
		r := new(Request)
		n, o.err = feed(v.raw, step, func(b []byte) (int, error) { return r.Parse(b, lim) })
		o.want, o.header = framingWord(r.Framing, r.Length), &r.Header
		o.host, o.target = string(r.Host), string(r.Target)
		o.flags = map[string]bool{"close": r.Close, "upgrade": r.Upgrade == "websocket", "continue": r.Continue, "trailers": r.Trailers}
	case "response":
		r := new(Response)
		n, o.err = feed(v.raw, step, func(b []byte) (int, error) { return r.Parse(b, []byte(v.words[0]), nil) })
		o.want, o.header = framingWord(r.Framing, r.Length), &r.Header
		o.flags = map[string]bool{"close": r.Close, "upgrade": r.Upgrade == "websocket"}
	case "chunks":
		d := decodeChunks(v.raw, step)
		o.err, o.header, n = d.err, d.trailer, d.used
		o.want, o.flags = "content="+string(d.content), map[string]bool{"trailer": d.trailer != nil}
		switch {
		case d.err != nil:
			o.want = "bad"
		case !d.done:
			o.want = "more"
		}
		o.rest = len(v.raw) - n
		return o
	default:
		t.Fatalf("unknown kind %q", v.kind)
	}
	o.rest = len(v.raw) - n
	switch e, ok := errors.AsType[*Error](o.err); {
	case ok:
		o.want = strconv.Itoa(e.Status)
		if side := map[string]Side{"request": ByClient, "response": ByServer}[v.kind]; e.Side != side {
			t.Errorf("the error's side is %v, want %v", e.Side, side)
		}
		if o.header.Len() > 0 || n != 0 {
			t.Errorf("after an error: n = %d, %d fields", n, o.header.Len())
		}
	case o.err != nil:
		t.Errorf("the error is a %T", o.err)
	case n == 0:
		o.want = "more"
	}
	return o
}

// decoded is what became of chunked content.
type decoded struct {
	content []byte
	trailer *Header
	used    int
	done    bool
	err     error
}

// decodeChunks decodes b, of which step more bytes are there whenever more are wanted.
func decodeChunks(b []byte, step int) (d decoded) {
	var c chunks
	b = bytes.Clone(b) // content is moved within it
	for end := min(step, len(b)); ; {
		i, j, used, done, err := c.next(b[d.used:end])
		if i > j || j > used || used > end-d.used || (done || err != nil) && j > i {
			d.err = fmt.Errorf("next returned %d, %d, %d, %v, %v of %d bytes", i, j, used, done, err, end-d.used)
			return d
		}
		d.content = append(d.content, b[d.used+i:d.used+j]...)
		d.used += used
		switch {
		case done || err != nil:
			d.done, d.err, d.trailer = done, err, c.trailer
			return d
		case used > 0:
		case end == len(b):
			return d
		default:
			end = min(end+step, len(b))
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, v := range verdicts(t) {
		t.Run(v.name, func(t *testing.T) {
			for _, step := range []int{len(v.raw), 1, 7} {
				if step == 1 && len(v.raw) > 100<<10 {
					continue
				}
				v.check(t, step)
			}
		})
	}
}

func (v *verdict) check(t *testing.T, step int) {
	t.Helper()
	o := v.judge(t, step)
	words := v.words
	if v.kind == "response" {
		words = words[1:]
	}
	if o.want != words[0] {
		t.Errorf("in steps of %d: got %.60s (%v), want %.60s", step, o.want, o.err, words[0])
		return
	}
	if v.kind != "chunks" && words[0][0] >= '4' && words[0][0] <= '5' {
		return
	}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		name, text, _ := strings.Cut(value, ":")
		ok := true
		switch key {
		case "underscores":
		case "host":
			ok = o.host == value
		case "target":
			ok = o.target == value
		case "header":
			ok = string(o.header.GetName(name)) == text && o.header.GetName(name) != nil
		case "kept":
			ok = o.header.IndexName(value, 0) >= 0
		case "gone":
			ok = o.header.IndexName(value, 0) < 0 && !bytes.Contains(bytes.ToLower(o.header.AppendTo(nil)), []byte(strings.ToLower(value)+":"))
		case "rest":
			ok = strconv.Itoa(o.rest) == value
		case "trailer":
			if ok = o.flags[key]; value != "" {
				ok = o.header != nil && string(o.header.GetName(name)) == text
			}
		default:
			flag, known := o.flags[strings.TrimPrefix(key, "!")]
			if !known {
				t.Fatalf("unknown condition %q", w)
			}
			ok = flag != strings.HasPrefix(key, "!")
		}
		if !ok {
			t.Errorf("in steps of %d: not %s: host %q, target %q, %d bytes left, %v, header\n%q", step, w, o.host, o.target, o.rest, o.flags, o.header.AppendTo(nil))
		}
	}
}
