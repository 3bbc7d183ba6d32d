package cache

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"
)

func TestFileNames(t *testing.T) {
	s := selection{fields: []selector{{name: "Accept", value: "+a"}}}
	n := fileNameOf("web\x00https://shop.example.com/list", &s)
	path := n.path()
	if len(path) != pathLen || path[:2] != path[3:5] {
		t.Errorf("%q", path)
	}
	if back, ok := parseFileName(path[3:]); !ok || back != n {
		t.Errorf("%+v, %v, want %+v", back, ok, n)
	}
	for _, bad := range []string{"", path, path[4:], path[3:] + "0", "C0FFEE" + path[9:], "g" + path[4:], path[3:19] + "_" + path[20:], "gatehouse.lock"} {
		if back, ok := parseFileName(bad); ok {
			t.Errorf("%q is %+v", bad, back)
		}
	}
	folded := selection{fields: []selector{{name: "accept", value: "+a"}}}
	if o := fileNameOf("web\x00https://shop.example.com/list", &folded); o != n {
		t.Errorf("the same selection has the names %+v and %+v", o, n)
	}
	seen := map[fileName]string{n: "the first"}
	for _, key := range []string{"web\x00https://shop.example.com/list", "web\x00http://shop.example.com/list", "web\x00https://shop.example.com/list?", "api\x00https://shop.example.com/list"} {
		for i, s := range []selection{{}, {forwarded: "a"}, {fields: []selector{{name: "A", value: "+b"}}}, {fields: []selector{{name: "A+", value: "b"}}}} {
			n, what := fileNameOf(key, &s), fmt.Sprintf("%q %d", key, i)
			if seen[n] != "" {
				t.Errorf("%s and %s have one name", what, seen[n])
			}
			seen[n] = what
		}
	}
}

func FuzzFileName(f *testing.F) {
	f.Add("c0ffee0123456789-01234567-89abcdef")
	f.Add("c0ffee0123456789-01234567-89abcdeF")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := parseFileName(s); ok && n.path()[3:] != s {
			t.Errorf("%q is %q", s, n.path())
		}
	})
}

func TestSites(t *testing.T) {
	const url = "https://shop.example.com/a/b"
	for prefix, want := range map[string]bool{"https://shop.example.com/": true, "https://shop.example.com/a": true, "https://shop.example.com": false, "https": false, "": false} {
		if got := siteOf(prefix) == siteOf(url); got != want {
			t.Errorf("site of %q is that of %q: %v", prefix, url, got)
		}
		if !want && siteOf(prefix) != 0 {
			t.Errorf("%q has a site", prefix)
		}
	}
}

// The index is compared with a map and a list that are obviously right.
func TestDiskIndexAgainstAModel(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	x := newDiskIndex()
	model := map[fileName]record{}
	var queue []fileName // oldest first
	out := func(n fileName) {
		delete(model, n)
		queue = slices.DeleteFunc(queue, func(o fileName) bool { return o == n })
	}
	for step := range 20_000 {
		n := fileName{uint64(random.IntN(60)), uint32(random.IntN(25)), 1}
		switch random.IntN(4) {
		case 0, 1:
			r := record{fileName: n, seq: uint32(step), blocks: uint32(random.IntN(9) + 1)}
			pushed, ok := x.add(r)
			out(n)
			model[n] = r
			queue = append(queue, n)
			if ok {
				if _, had := model[pushed]; !had || pushed.key != n.key || pushed == n {
					t.Fatalf("seed %d, step %d: %+v was pushed out by %+v", seed, step, pushed, n)
				}
				out(pushed)
			}
		case 2:
			if i := x.get(n); i != 0 {
				x.remove(i)
			}
			out(n)
		default:
			i := x.victim(func(uint64) bool { return false })
			if i == 0 != (len(queue) == 0) {
				t.Fatalf("seed %d, step %d: victim %d of %d", seed, step, i, len(queue))
			}
			if i != 0 {
				out(x.at(i).fileName)
				x.remove(i)
			}
		}
		if step%50 != 0 && step > 200 {
			continue
		}
		bytes := int64(0)
		for n, r := range model {
			i := x.get(n)
			if i == 0 || x.at(i).seq != r.seq || x.at(i).blocks != r.blocks {
				t.Fatalf("seed %d, step %d: %+v is not there", seed, step, n)
			}
			bytes += r.bytes()
		}
		if x.count != len(model) || x.bytes != bytes {
			t.Fatalf("seed %d, step %d: %d files of %d bytes, want %d of %d", seed, step, x.count, x.bytes, len(model), bytes)
		}
		var order []fileName
		for i := x.oldest; i != 0; i = x.at(i).newer {
			order = append(order, x.at(i).fileName)
		}
		if !slices.Equal(order, queue) {
			t.Fatalf("seed %d, step %d: the queue is %v, want %v", seed, step, order, queue)
		}
	}
}

// What is used stays, what is not goes first, the oldest of it first of all.
func TestWhatHasToGo(t *testing.T) {
	x := newDiskIndex()
	for i := range 6 {
		x.add(record{fileName: fileName{key: uint64(i)}, memory: uint64(i), blocks: 1})
	}
	x.at(x.get(fileName{key: 0})).used = true
	var order []uint64
	for range 6 {
		i := x.victim(func(hash uint64) bool { return hash == 2 && len(order) < 2 })
		order = append(order, x.at(i).key)
		x.remove(i)
	}
	if want := []uint64{1, 3, 4, 5, 0, 2}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
	if i := x.victim(func(uint64) bool { return true }); i != 0 {
		t.Errorf("%d", i)
	}
	for i := range 1000 {
		x.add(record{fileName: fileName{key: uint64(i)}, memory: 1, blocks: 1})
	}
	if i := x.victim(func(uint64) bool { return true }); i == 0 {
		t.Error("nothing goes where all is in use")
	}
}

// The memory that a file costs is bounded, and documented with the attribute size.
func TestDiskIndexIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(record{}); n != 56 {
		t.Errorf("a record has %d bytes, documented are 56", n)
	}
	const files = 300_000
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	x := newDiskIndex()
	random := rand.New(rand.NewPCG(1, 2))
	for range files {
		x.add(record{fileName: fileName{key: random.Uint64()}, blocks: 5})
	}
	each := float64(live()-before) / files
	if t.Logf("%.1f bytes for each file", each); each > 110 {
		t.Errorf("%.1f bytes for each file", each)
	}
	runtime.KeepAlive(x)
}

func BenchmarkDiskFind(b *testing.B) {
	d := &disk{index: newDiskIndex(), state: diskReady}
	for i := range 100_000 {
		d.index.add(record{fileName: fileName{key: keyHash(fmt.Sprint(i))}, blocks: 5})
	}
	key := []byte("web\x00https://shop.example.com/some/path/of/usual/length.html")
	var room [maxVariants]found
	b.ReportAllocs()
	for b.Loop() {
		d.find(keyHash(key), 1, room[:0])
	}
}
