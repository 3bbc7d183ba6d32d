package house_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// drip writes pieces in turns, one at each tick, until n are written or the connection has ended. It reports in done that it has.
func (p *h2peer) drip(every time.Duration, n int, pieces ...[]byte) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(every)
		defer t.Stop()
		for i := range n {
			<-t.C
			if _, err := p.nc.Write(pieces[i%len(pieces)]); err != nil {
				return
			}
		}
	}()
	return done
}

// frames returns what f writes.
func frames(f func(fr *http2.Framer)) []byte {
	var b bytes.Buffer
	f(http2.NewFramer(&b, nil))
	return b.Bytes()
}

// TestHTTP2FramesAcrossReads: the time for half a frame is that of this frame. Content may come for as long as it likes, although none of what is
// read ends where a frame does.
func TestHTTP2FramesAcrossReads(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, bind: both, front: `timeouts {
  request = "400ms"
  client = "5s"
 }`})
	p := r.raw()
	p.headers(1, false, ":method: POST", ":scheme: http", ":authority: a.test", ":path: /", "content-length: 41000")
	f := frames(func(fr *http2.Framer) { fr.WriteData(1, false, make([]byte, 1000)) })
	p.nc.Write(f[:500])
	<-p.drip(40*time.Millisecond, 40, append(f[500:len(f):len(f)], f[:500]...))
	p.nc.Write(f[500:])
	p.fr.WriteData(1, true, nil)
	if _, body := p.response(1); body != "POST / 41000" {
		t.Errorf("%q", body)
	}
}

// TestHTTP2SlowFrames: a large frame of content has the time that the least rate of content allows for it.
func TestHTTP2SlowFrames(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, bind: both, front: `timeouts {
  request = "200ms"
  client = "5s"
 }`})
	p := r.raw()
	p.headers(1, false, ":method: POST", ":scheme: http", ":authority: a.test", ":path: /", "content-length: 2000")
	f := frames(func(fr *http2.Framer) { fr.WriteData(1, true, make([]byte, 2000)) })
	p.nc.Write(f[:1000])
	<-p.drip(time.Second, 1, f[1000:])
	if _, body := p.response(1); body != "POST / 2000" {
		t.Errorf("%q", body)
	}
}

// TestHTTP2IdleWhateverIsSaid: a connection without streams has its time, whole frames and halves of them notwithstanding.
func TestHTTP2IdleWhateverIsSaid(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, nil)}, bind: both, front: `timeouts {
  request = "2s"
  idle = "500ms"
 }`})
	ping := frames(func(fr *http2.Framer) { fr.WritePing(false, [8]byte{}) })
	for _, c := range []struct {
		name   string
		pieces [][]byte
	}{
		{"whole frames", [][]byte{ping}},
		{"halves", [][]byte{ping[:8], ping[8:]}},
		{"a half at each end", [][]byte{ping[:8], append(ping[8:len(ping):len(ping)], ping[:8]...)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := r.raw()
			p.headers(1, true, asking("/")...)
			p.response(1)
			began := time.Now()
			done := p.drip(100*time.Millisecond, 100, c.pieces...)
			got := p.verdict(0)
			if d := time.Since(began); got == "END" || d > 3*time.Second || d < 400*time.Millisecond {
				t.Errorf("%s after %v", got, d)
			}
			p.nc.Close()
			<-done
		})
	}
}

// TestHTTP2ShutConnection: a client that never opens the window of the connection does not keep its answers, and the servers of
// those, by asking for something else now and then.
func TestHTTP2ShutConnection(t *testing.T) {
	r := build(t, plan{servers: []*origin{newOrigin(t, sizes)}, bind: both, front: `timeouts { client = "500ms" }`})
	p := r.raw(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	p.headers(1, true, asking("/2000000")...)
	ping := frames(func(fr *http2.Framer) { fr.WritePing(false, [8]byte{}) })
	began := time.Now()
	done := p.drip(100*time.Millisecond, 50, ping)
	if got := p.verdict(1); got != "RST INTERNAL_ERROR" {
		t.Errorf("%s", got)
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("after %v", d)
	}
	p.nc.Close()
	<-done
	if l := r.line(); l.Termination[:2] != "cD" {
		t.Errorf("the line %+v", l)
	}
}

// TestHTTP2EarlyAnswerToHidden: a server that answers before it has all the content is heard at once, also where the content is looked through
// for fields that no client may send.
func TestHTTP2EarlyAnswerToHidden(t *testing.T) {
	o := newOrigin(t, func(w *wire) {
		w.head()
		w.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		io.Copy(io.Discard, w.r)
	})
	r := build(t, plan{servers: []*origin{o}, bind: both, more: `tls "staff" {
 internal = true
 client_auth {
  ca = "` + newAuthority(t).file + `"
  headers {
   verify = "X-Verify"
  }
 }
}`})
	p := r.raw()
	p.headers(1, false, ":method: POST", ":scheme: http", ":authority: a.test", ":path: /")
	p.fr.WriteData(1, false, make([]byte, 10_000))
	began := time.Now()
	if head, body := p.response(1); head[":status"] != "403" || body != "no" {
		t.Errorf("%v %q", head, body)
	}
	if got := p.verdict(1); got != "RST NO_ERROR" {
		t.Errorf("the rest: %s", got)
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("after %v", d)
	}
}
