package house_test

import (
	"fmt"
	"io"
	"testing"
	"time"
)

// TestHTTP2LongDownload: a client that acknowledges a long answer bit by bit, as Go's does every 4 KiB, does not look like one that floods.
func TestHTTP2LongDownload(t *testing.T) {
	t.Parallel()
	const much = 192 << 20
	o := newOrigin(t, func(w *wire) {
		w.head()
		w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", much))
		piece := string(make([]byte, 64<<10))
		for range much / len(piece) {
			w.send(piece)
		}
	})
	r := build(t, plan{servers: []*origin{o}, tls: true, bind: both})
	c := r.h2client()
	c.Timeout = 5 * time.Minute // it is much, and processor time is what it takes
	resp, err := c.Get(r.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != much || err != nil || resp.ProtoMajor != 2 {
		t.Errorf("%s: %d bytes, %v", resp.Proto, n, err)
	}
}
