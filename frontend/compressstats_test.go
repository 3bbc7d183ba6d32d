package frontend

import (
	"bytes"
	"fmt"
	"testing"

	"gatehouse/backend/loop"
)

// counted says what is not zero.
func (s *CompressStats) counted() (all []string) {
	for _, c := range Codings() {
		if n := s.Answers[c].Load(); n > 0 {
			all = append(all, fmt.Sprint(n, " by ", c))
		}
	}
	if n := s.Copies.Load(); n > 0 {
		all = append(all, fmt.Sprint(n, " copies"))
	}
	for _, why := range Skips() {
		if n := s.Skipped[why].Load(); n > 0 {
			all = append(all, fmt.Sprint(n, " skipped: ", why))
		}
	}
	return all
}

// TestCompressingIsCounted: each answer once, by its coding or by why it has none.
func TestCompressingIsCounted(t *testing.T) {
	const zstd = "Accept-Encoding: zstd, gzip;q=0.5"
	for _, c := range []struct {
		s    story
		want string
	}{
		{story{request: zstd, response: aText}, "[1 by zstd]"},
		{story{request: anyClient, response: aText, length: -1}, "[1 by gzip]"},
		{story{request: anyClient, response: aText, status: 204}, "[1 skipped: empty]"},
		{story{request: anyClient, response: aText + "\nContent-Range: bytes 0-4999/9999", status: 206}, "[1 skipped: empty]"},
		{story{request: anyClient, response: aText, length: 1023}, "[1 skipped: small]"},
		{story{request: anyClient, response: aText + "\nContent-Encoding: gzip"}, "[1 skipped: encoded]"},
		{story{request: anyClient, response: "Content-Type: image/png"}, "[1 skipped: type]"},
		{story{request: anyClient, response: aText + "\nCache-Control: no-transform"}, "[1 skipped: no-transform]"},
		{story{response: aText}, "[1 skipped: client]"},
		{story{request: anyClient, minor: -1, response: aText}, "[1 skipped: client]"},
		{story{request: anyClient, response: aText + "\nSet-Cookie: a=1"}, "[1 skipped: private]"},
		{story{method: "HEAD", request: anyClient, response: aText}, "[]"},
		{story{method: "HEAD", request: anyClient, response: aText + "\nCache-Control: private"}, "[]"},
		{story{request: anyClient, response: aText, status: 304}, "[]"},
	} {
		inLoop(t, func(l *loop.Loop) {
			var s CompressStats
			x := c.s.exchange(l, nil)
			length := uint64(max(x.Resp.Length, 5000))
			newCompressor(usual(), &s).apply(x)
			var sent []byte
			if b, ok := x.Resp.Body.(*pressed); ok {
				sent, _ = readAll(b)
			} else {
				length = 0
			}
			if got := fmt.Sprint(s.counted()); got != c.want || s.In.Load() != length || s.Out.Load() != uint64(len(sent)) {
				t.Errorf("%+v: %s, %d bytes in, %d out; want %s, %d and %d", c.s, got, s.In.Load(), s.Out.Load(), c.want, length, len(sent))
			}
			if x.Resp.Body != nil {
				x.Resp.Body.Close()
			}
		})
	}
}

// TestCopiesAreCounted: content from the cache counts for each client, though it is compressed once; and so does what cannot be made smaller,
// and what there is no memory for.
func TestCopiesAreCounted(t *testing.T) {
	for _, c := range []struct {
		content []byte
		memory  int64
		want    string
	}{
		{bytes.Repeat([]byte("text "), 1000), 128 << 20, "[3 by gzip 3 copies]"},
		{noise(5000), 128 << 20, "[3 skipped: incompressible]"},
		{bytes.Repeat([]byte("text "), 1000), 100, "[3 skipped: memory]"},
	} {
		inLoop(t, func(l *loop.Loop) {
			var s CompressStats
			config := usual()
			config.Memory = c.memory
			k := newCompressor(config, &s)
			out := 0
			for range 3 {
				closed, content := 0, [][]byte{c.content}
				x := story{request: anyClient, response: aText, note: "gatehouse; hit"}.exchange(l, &stored{chunks: chunks{list: content}, content: content, closed: &closed})
				k.apply(x)
				if b, ok := x.Resp.Body.(*pressed); ok {
					all, err := readAll(b)
					if err != nil {
						t.Error(err)
					}
					out += len(all)
				}
				x.Resp.Body.Close()
			}
			in := uint64(0)
			if out > 0 {
				in = 15_000
			}
			if got := fmt.Sprint(s.counted()); got != c.want || s.In.Load() != in || s.Out.Load() != uint64(out) {
				t.Errorf("%s, %d bytes in, %d out; want %s, %d and %d", got, s.In.Load(), s.Out.Load(), c.want, in, out)
			}
		})
	}
}
