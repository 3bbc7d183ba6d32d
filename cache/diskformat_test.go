package cache

import (
	"bytes"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"gatehouse/backend/h1"
)

func sampleEntry() *entry {
	e := &entry{status: 203, reason: []byte("Fine"), date: 1_700_000_000, changed: -5, born: -123_456, size: 70_000}
	e.policy = policy{age: 1, life: 60_000, staleRevalidate: 2, staleError: 3, validate: true, strict: true}
	e.choice = selection{forwarded: "x-forwarded-host:a\n", language: "de", fields: []selector{
		{name: "Accept-Encoding", id: h1.AcceptEncoding, value: "+1"}, {name: "X-Thing", value: "+b,c"}}}
	e.head.AddString("Content-Type", "text/html")
	e.head.AddString("X-Gone", "1")
	e.head.AddString("Surrogate-Key", "t1 t2")
	e.head.AddString("X-Empty", "")
	e.head.DelName("X-Gone")
	return e
}

func TestDiskHeadRoundTrip(t *testing.T) {
	const epoch, key = 1_600_000_000_000, "web\x00http://a/b?c"
	e := sampleEntry()
	b := appendDiskHead([]byte("before")[:0], key, e, 42, epoch, 7)
	h, err := readDiskHead(append(b, "content"...), epoch+5000, epoch+10_000)
	if err != nil {
		t.Fatal(err)
	}
	got := h.entry
	if h.key != key || h.id != 42 || h.size != e.size || h.from != int64(len(b)) || got.born != e.born-5000 {
		t.Errorf("%+v, born %d", h, got.born)
	}
	if string(got.head.AppendTo(nil)) != "Content-Type: text/html\r\nSurrogate-Key: t1 t2\r\nX-Empty: \r\n" || !got.tagged("t2") {
		t.Errorf("%q", got.head.AppendTo(nil))
	}
	got.born, got.head, e.head = e.born, h1.Header{}, h1.Header{}
	if !reflect.DeepEqual(got, e) {
		t.Errorf("%+v\nwant\n%+v", got, e)
	}
	future, err := readDiskHead(b, epoch, epoch+e.born-1)
	if err != nil || future.entry.left(e.born-1) > 0 {
		t.Errorf("an answer from the future is fresh for %d ms, %v", future.entry.left(e.born-1), err)
	}
}

// Whoever adds a field to what is remembered of an answer has to write it into files too: here is where to say that it was done.
func TestDiskHeadHasEveryField(t *testing.T) {
	for _, c := range []struct {
		of   any
		want string
	}{
		{entry{}, "status reason head choice policy born date changed content size stored"},
		{policy{}, "age life staleRevalidate staleError validate strict"},
		{selection{}, "forwarded fields language"},
		{selector{}, "name id value"},
	} {
		var names []string
		for f := range reflect.TypeOf(c.of).Fields() {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%T has the fields %s, files know %s", c.of, got, c.want)
		}
	}
}

// FuzzDiskHead: whatever is in a file, reading it does not panic, and what is read is written and read alike.
func FuzzDiskHead(f *testing.F) {
	b := appendDiskHead(nil, "web\x00http://a/", sampleEntry(), 42, 1_600_000_000_000, 0)
	f.Add(b)
	f.Add(b[:70])
	f.Add(appendDiskHead(nil, "", &entry{status: 200}, 0, 0, maxPad))
	f.Add([]byte(diskMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resum(bytes.Clone(b))
		h, err := readDiskHead(b, 0, 1<<62)
		if err != nil {
			return
		}
		again := appendDiskHead(nil, h.key, h.entry, h.id, 0, 0)
		o, err := readDiskHead(again, 0, 1<<62)
		if err != nil {
			t.Fatalf("%v: %+v", err, h.entry)
		}
		if o.key != h.key || o.id != h.id || o.size != h.size || !bytes.Equal(o.entry.head.AppendTo(nil), h.entry.head.AppendTo(nil)) {
			t.Errorf("%+v\n%+v", o, h)
		}
		if lines := bytes.Count(h.entry.head.AppendTo(nil), []byte("\n")); lines != h.entry.head.Len() {
			t.Errorf("%d lines of %d fields", lines, h.entry.head.Len())
		}
	})
}

// resum makes the checksum of a head right, so that what stands in it is looked at.
func resum(b []byte) []byte {
	if n, err := headLength(b); err == nil && len(b) >= n {
		s := headSum(b[:n])
		b[atSum], b[atSum+1], b[atSum+2], b[atSum+3] = byte(s), byte(s>>8), byte(s>>16), byte(s>>24)
	}
	return b
}

// TestDamagedFiles: a file of which a single byte is wrong, or that ends early or late, is found out before a wrong byte is sent, removed and counted.
func TestDamagedFiles(t *testing.T) {
	for _, c := range []struct{ size, step int }{{300, 1}, {chunkSize + 300, 997}} {
		if testing.Short() {
			c.step *= 16
		}
		disked(t, func(t *testing.T, dir string) {
			r := newRig(t, 1, onDisk(dir))
			defer r.close()
			const head = "HTTP/1.1 200 OK\nCache-Control: max-age=600\nX-Thing: thing\nVary: Accept\n\n"
			body := content(c.size)
			r.answers(head + body)
			r.get("/page")
			r.flush()
			path := files(t, dir)[0]
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, uint64(c.size)))
			n := uint64(0)
			try := func(what string, at int, b []byte) {
				t.Helper()
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				a := <-r.start(request{text: "GET /page"})
				synctest.Wait()
				switch {
				case a.err != nil: // the first block was right, and has been sent
					if c.size <= chunkSize || a.body != body[:chunkSize] {
						t.Errorf("%s at %d: %v, %d bytes", what, at, a.err, len(a.body))
					}
				case a.hit():
					t.Errorf("%s at %d: a hit, %d bytes", what, at, len(a.body))
				case a.body != body || a.get("X-Thing") != "thing":
					t.Errorf("%s at %d: %s, %d bytes", what, at, a.head, len(a.body))
				}
				if n++; r.cache.Stats.DiskCorrupt.Load() != n {
					t.Errorf("%s at %d: %d damaged files were counted, want %d", what, at, r.cache.Stats.DiskCorrupt.Load(), n)
					n = r.cache.Stats.DiskCorrupt.Load()
				}
				if a.err != nil {
					r.get("/page") // it is fetched
				}
				r.flush()
				if now, err := os.ReadFile(path); err != nil || len(now) != len(whole) {
					t.Errorf("%s at %d: %v, %d bytes are there after it was fetched again", what, at, err, len(now))
				}
				whole, _ = os.ReadFile(path)
			}
			for at := 0; at < len(whole); at += c.step {
				b := bytes.Clone(whole)
				b[at] ^= 1 << random.IntN(8)
				try("bit", at, b)
			}
			for at := 0; at < len(whole); at += c.step {
				try("cut", at, bytes.Clone(whole[:at]))
			}
			try("more", len(whole), append(bytes.Clone(whole), 0))
		})
	}
}

// One block in the place of another one is found out, and so is the content of another file.
func TestBlocksHaveTheirPlace(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 100)
	sum := blockSum(7, 1, data)
	for _, o := range []uint32{blockSum(7, 0, data), blockSum(8, 1, data), blockSum(8, 0, data), blockSum(7, 1, data[1:])} {
		if o == sum {
			t.Errorf("two blocks have the sum %x", sum)
		}
	}
}
