package h1

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSmallChunksComeInOnePiece: a server that writes a chunk for each line does not make us write a record for each.
func TestSmallChunksComeInOnePiece(t *testing.T) {
	var c chunks
	b := []byte("3\r\nabc\r\n1;x=y\r\nd\r\n5\r\nefghi\r\n0\r\n\r\n")
	i, j, used, done, err := c.next(b)
	if got := string(b[i:j]); got != "abcdefghi" || done || err != nil {
		t.Fatalf("got %q, %v, %v", got, done, err)
	}
	if i, j, n, done, err := c.next(b[used:]); i != j || used+n != len(b) || !done || err != nil {
		t.Fatalf("then %d:%d, %d of %d, %v, %v", i, j, used+n, len(b), done, err)
	}
}

// TestLargeChunksStay: moving what a write of its own is worth for would cost more than that.
func TestLargeChunksStay(t *testing.T) {
	var c chunks
	large := strings.Repeat("x", mergeMax+1)
	b := fmt.Appendf(nil, "1\r\na\r\n%x\r\n%s\r\n0\r\n\r\n", len(large), large)
	i, j, used, _, err := c.next(b)
	if got := string(b[i:j]); got != "a" || err != nil {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
	i, j, _, _, err = c.next(b[used:])
	if got := string(b[used+i : used+j]); got != large || err != nil {
		t.Fatalf("then %d bytes, %v", len(got), err)
	}
}

// TestContentBeforeAnError: what came before the damage is handed out, then the error, and the error again.
func TestContentBeforeAnError(t *testing.T) {
	var c chunks
	b := []byte("3\r\nabc\r\n2\r\nde\r\nx")
	i, j, used, done, err := c.next(b)
	if got := string(b[i:j]); got != "abcde" || done || err != nil {
		t.Fatalf("got %q, %v, %v", got, done, err)
	}
	for range 2 {
		i, j, n, done, err := c.next(b[used:])
		if i != j || done || err == nil || err.Error() != `the character 'x' in a chunk size` {
			t.Fatalf("then %d:%d, %d, %v, %v", i, j, n, done, err)
		}
	}
}

func TestChunksGoOnBeingDone(t *testing.T) {
	var c chunks
	if _, _, used, done, err := c.next([]byte("0\r\n\r\nGET")); used != 5 || !done || err != nil {
		t.Fatal(used, done, err)
	}
	if _, _, used, done, err := c.next([]byte("GET")); used != 0 || !done || err != nil {
		t.Fatal(used, done, err)
	}
}

// TestTrailerOutlivesTheBuffer: the fields are a copy.
func TestTrailerOutlivesTheBuffer(t *testing.T) {
	d := decodeChunks([]byte("0\r\nX-Sum: 1\r\nHost: evil\r\nETag: \"x\"\r\n\r\n"), 9)
	if d.err != nil || !d.done || d.trailer == nil {
		t.Fatalf("%+v", d)
	}
	if got, want := string(d.trailer.AppendTo(nil)), "X-Sum: 1\r\nETag: \"x\"\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if d.trailer.Has(Host) || string(d.trailer.Get(ETag)) != `"x"` {
		t.Errorf("Host %q, ETag %q", d.trailer.Get(Host), d.trailer.Get(ETag))
	}
}

// TestChunksWrittenAndRead: any content in chunks of any size, read in pieces of any size, is the content.
func TestChunksWrittenAndRead(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		content := make([]byte, rnd.IntN(20_000))
		for i := range content {
			content[i] = byte(rnd.Uint32())
		}
		var b []byte
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 1+rnd.IntN(1<<rnd.IntN(15)))
			b = append(append(appendChunkHead(b, n), rest[:n]...), "\r\n"...)
			rest = rest[n:]
		}
		b = append(appendChunkHead(b, 0), "\r\n"...)
		d := decodeChunks(b, 1+rnd.IntN(1<<rnd.IntN(15)))
		if !d.done || d.err != nil || d.used != len(b) || !bytes.Equal(d.content, content) {
			t.Fatalf("%d bytes of %d, %v, %v", len(d.content), len(content), d.done, d.err)
		}
	}
}

func TestChunksAllocateNothing(t *testing.T) {
	message := []byte("400;a=b\r\n" + strings.Repeat("x", 1024) + "\r\n5\r\nhello\r\n0\r\n\r\n")
	b := make([]byte, len(message))
	head := make([]byte, 0, 32)
	if n := testing.AllocsPerRun(100, func() {
		copy(b, message)
		var c chunks
		for at, done := 0, false; !done; {
			_, _, used, end, err := c.next(b[at:])
			if at, done = at+used, end; err != nil {
				t.Fatal(err)
			}
		}
		head = appendChunkHead(head[:0], 1<<20)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkChunks(b *testing.B) {
	for _, size := range []int{64, 1024, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var message []byte
			for range 64 << 10 / size {
				message = append(appendChunkHead(message, size), bytes.Repeat([]byte("x"), size)...)
				message = append(message, "\r\n"...)
			}
			message = append(message, "0\r\n\r\n"...)
			buf := make([]byte, len(message))
			b.SetBytes(64 << 10)
			for b.Loop() {
				copy(buf, message)
				var c chunks
				for at, done := 0, false; !done; {
					_, _, used, end, err := c.next(buf[at:])
					if at, done = at+used, end; err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
