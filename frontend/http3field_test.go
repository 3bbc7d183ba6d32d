package frontend

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go/quicvarint"

	"gatehouse/backend/h1"
)

// fieldsIn returns the field lines of the HEADERS frame that b begins with, as quic-go's decoder reads them, and what follows.
func fieldsIn(b []byte) (lines []string, rest []byte, err error) {
	kind, n, err := quicvarint.Parse(b)
	if err != nil || kind != 1 {
		return nil, b, fmt.Errorf("a frame of type %d, %v", kind, err)
	}
	b = b[n:]
	size, n, err := quicvarint.Parse(b)
	if err != nil || uint64(len(b)-n) < size {
		return nil, b, fmt.Errorf("%d bytes of %d, %v", len(b)-n, size, err)
	}
	b = b[n:]
	next := qpack.NewDecoder().Decode(b[:size])
	for {
		f, err := next()
		if err == io.EOF {
			return lines, b[size:], nil
		} else if err != nil {
			return lines, b, err
		}
		lines = append(lines, f.Name+": "+f.Value)
	}
}

// FuzzAppendFields3: a decoder of QPACK reads what was meant, in its order.
func FuzzAppendFields3(f *testing.F) {
	f.Add(200, "Content-Type", "text/html", "X-Other", "a", 5)
	f.Add(0, "x-sum", "", "Set-Cookie", strings.Repeat("long", 100), 0)
	f.Add(599, "Age", "1", strings.Repeat("Name", 100), "é\xff", 1<<20)
	f.Add(425, "Alt-Svc", "clear", "Strict-Transport-Security", "x", 63)
	f.Add(103, "Link", "</a>", "Link", "</b>", 64)
	f.Fuzz(func(t *testing.T, status int, n1, v1, n2, v2 string, size int) {
		if status < 0 || status > 999 || size < 0 || !h1.IsToken([]byte(n1)) || !h1.IsToken([]byte(n2)) {
			return
		}
		var h h1.Header
		h.AddString(n1, v1)
		h.AddString(n2, v2)
		b := appendFields3(beginFields(nil, status), &h)
		endFields(b, 0)
		b = appendContentHead(b, size)
		var want []string
		if status != 0 {
			want = append(want, ":status: "+strconv.Itoa(status))
		}
		lower := func(s string) string { return string(bytes.ToLower([]byte(s))) }
		want = append(want, lower(n1)+": "+v1, lower(n2)+": "+v2)
		got, rest, err := fieldsIn(b)
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
		kind, n, err := quicvarint.Parse(rest)
		if err != nil || kind != 0 {
			t.Fatalf("a frame of type %d, %v", kind, err)
		}
		if got, m, err := quicvarint.Parse(rest[n:]); err != nil || got != uint64(size) || n+m != len(rest) {
			t.Errorf("%d bytes of content, %v, want %d", got, err, size)
		}
	})
}

// TestStaticTable: each name and status that is told by its place in the static table stands there.
func TestStaticTable(t *testing.T) {
	for status := range statusIndex {
		b := beginFields(nil, status)
		endFields(b, 0)
		if got, _, err := fieldsIn(b); err != nil || len(got) != 1 || got[0] != ":status: "+strconv.Itoa(status) {
			t.Errorf("%d: %q, %v", status, got, err)
		}
	}
	n := 0
	for id := range h1.Allow + 1 {
		if nameIndex[id] == 0 {
			continue
		}
		n++
		var h h1.Header
		b := appendField3(beginFields(nil, 0), id, nil, []byte("v"))
		endFields(b, 0)
		got, _, err := fieldsIn(b)
		if err == nil {
			name, value, _ := strings.Cut(got[0], ": ")
			h.AddString(name, value)
		}
		if known, _, _ := h.At(0); err != nil || known != id {
			t.Errorf("place %d: %q, %v", nameIndex[id], got, err)
		}
	}
	if n == 0 {
		t.Error("no names")
	}
}

// TestAppendFields3DoesNotAllocate: it is done for every answer.
func TestAppendFields3DoesNotAllocate(t *testing.T) {
	var h h1.Header
	h.AddString("Content-Type", "text/html")
	h.AddString("X-Own", "a")
	b := make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() {
		b = appendFields3(beginFields(b[:0], 299), &h)
		endFields(b, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
