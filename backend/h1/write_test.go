package h1

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// gather notes what each write of the other end brought, until that closes.
func gather(far net.Conn) <-chan []string {
	got := make(chan []string, 1)
	go func() {
		var all []string
		b := make([]byte, 1<<20)
		for {
			n, err := far.Read(b)
			if n > 0 {
				all = append(all, string(b[:n]))
			}
			if err != nil {
				got <- all
				return
			}
		}
	}()
	return got
}

// pieces is content in given pieces.
type pieces struct {
	list    []Piece
	trailer *Header
	err     error // at the end; nil: io.EOF
	none    int   // how often nothing is there yet
}

func (b *pieces) Next(wait bool) (Piece, error) {
	if !wait && b.none > 0 {
		b.none--
		return Piece{}, nil
	}
	if len(b.list) == 0 {
		if b.err != nil {
			return Piece{}, b.err
		}
		return Piece{}, io.EOF
	}
	p := b.list[0]
	b.list = b.list[1:]
	return p, nil
}

func (b *pieces) Trailer() *Header { return b.trailer }
func (b *pieces) Close()           {}

// roomy makes a piece with room around it.
func roomy(s string, before, after int) Piece {
	b := []byte(strings.Repeat("#", before) + s + strings.Repeat("#", after))
	return Piece{Buf: b, I: before, J: before + len(s)}
}

func last(p Piece) Piece { p.Last = true; return p }

// TestSender writes every kind of content: what comes out, and in how many writes.
func TestSender(t *testing.T) {
	trailer := &Header{}
	trailer.AddString("X-Sum", "1")
	long := strings.Repeat("h", 5000)
	for _, x := range []struct {
		name    string
		head    string
		chunked bool
		body    Body
		want    []string
	}{
		{"nothing", "H", false, nil, []string{"H"}},
		{"empty", "H", false, &pieces{}, []string{"H"}},
		{"empty, chunked", "H", true, &pieces{}, []string{"H0\r\n\r\n"}},
		{"with room", "H", false, &pieces{list: []Piece{last(roomy("abc", 10, 10))}}, []string{"Habc"}},
		{"with room, chunked", "H", true, &pieces{list: []Piece{last(roomy("abc", 10, 10))}}, []string{"H3\r\nabc\r\n0\r\n\r\n"}},
		{"exactly as much room", "H", true, &pieces{list: []Piece{last(roomy("abc", 4, 7))}}, []string{"H3\r\nabc\r\n0\r\n\r\n"}},
		{"one byte too little before", "H", true, &pieces{list: []Piece{last(roomy("abc", 3, 7))}}, []string{"H3\r\nabc\r\n0\r\n\r\n"}},
		{"one byte too little behind", "H", true, &pieces{list: []Piece{last(roomy("abc", 4, 6))}}, []string{"H3\r\nabc\r\n0\r\n\r\n"}},
		{"without room", "H", true, &pieces{list: []Piece{last(PieceOf([]byte("abc")))}}, []string{"H3\r\nabc\r\n0\r\n\r\n"}},
		{"from memory", "H", false, &Static{B: []byte("abc")}, []string{"Habc"}},
		{"from memory, long head", long, false, &Static{B: []byte("abc")}, []string{long + "abc"}},
		{"long without room", "H", true, &pieces{list: []Piece{last(PieceOf([]byte(long)))}}, []string{"H1388\r\n" + long + "\r\n0\r\n\r\n"}},
		{"two", "H", true, &pieces{list: []Piece{roomy("abc", 10, 10), roomy("de", 10, 10)}}, []string{"H3\r\nabc\r\n", "2\r\nde\r\n", "0\r\n\r\n"}},
		{"two, the second last", "H", true, &pieces{list: []Piece{roomy("abc", 10, 10), last(roomy("de", 10, 10))}}, []string{"H3\r\nabc\r\n", "2\r\nde\r\n0\r\n\r\n"}},
		{"two, plain", "H", false, &pieces{list: []Piece{roomy("abc", 10, 10), roomy("de", 10, 10)}}, []string{"Habc", "de"}},
		{"late", "H", true, &pieces{none: 1, list: []Piece{roomy("abc", 10, 10)}}, []string{"H", "3\r\nabc\r\n", "0\r\n\r\n"}},
		{"trailer", "H", true, &pieces{list: []Piece{roomy("abc", 10, 10)}, trailer: trailer}, []string{"H3\r\nabc\r\n", "0\r\nX-Sum: 1\r\n\r\n"}},
		{"trailer, nothing else", "H", true, &pieces{trailer: trailer}, []string{"H0\r\nX-Sum: 1\r\n\r\n"}},
		{"trailer that has no place", "H", false, &pieces{list: []Piece{roomy("abc", 10, 10)}, trailer: trailer}, []string{"Habc"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			l := memLoop(t)
			c, far := pair(t, l, ByClient)
			got := gather(far)
			do(l, func() {
				s := Sender{Conn: c, Head: append(l.Small(), x.head...), Chunked: x.chunked}
				if err := s.Send(x.body); err != nil || s.Head != nil {
					t.Errorf("%v, head left: %q", err, s.Head)
				}
				c.Close()
			})
			all := <-got
			if strings.Join(all, "|") != strings.Join(x.want, "|") {
				t.Errorf("%q, want %q", all, x.want)
			}
		})
	}
}

// TestSenderKeepsTheHead when the content fails before a byte is written: then something else can still be said.
func TestSenderKeepsTheHead(t *testing.T) {
	l := memLoop(t)
	c, far := pair(t, l, ByClient)
	got := gather(far)
	why := &Error{Status: 502, Side: ByServer}
	do(l, func() {
		s := Sender{Conn: c, Head: []byte("H"), Chunked: true}
		if err := s.Send(&pieces{err: why}); err != why || s.Head == nil {
			t.Errorf("%v, head left: %v", err, s.Head != nil)
		}
		s = Sender{Conn: c, Head: []byte("H"), Chunked: true}
		if err := s.Send(&pieces{list: []Piece{roomy("abc", 10, 10)}, err: why}); err != why || s.Head != nil || s.Sent != 3 {
			t.Errorf("%v, head left: %v, %d bytes sent", err, s.Head != nil, s.Sent)
		}
		c.Close()
	})
	if all := strings.Join(<-got, ""); all != "H3\r\nabc\r\n" { // and no last chunk
		t.Errorf("%q", all)
	}
}

func TestSenderStops(t *testing.T) {
	l := memLoop(t)
	c, far := pair(t, l, ByServer)
	got := gather(far)
	do(l, func() {
		stop := false
		s := Sender{Conn: c, Head: []byte("H"), Stop: &stop}
		b := &stopping{stop: &stop}
		if err := s.Send(b); err != ErrStopped {
			t.Error(err)
		}
		c.Close()
	})
	if all := strings.Join(<-got, ""); all != "Habc" {
		t.Errorf("%q", all)
	}
}

// stopping is content whose second piece comes with the order to stop.
type stopping struct {
	stop *bool
	n    int
}

func (b *stopping) Next(bool) (Piece, error) {
	b.n++
	*b.stop = b.n > 1
	return roomy("abc", 10, 10), nil
}
func (b *stopping) Trailer() *Header { return nil }
func (b *stopping) Close()           {}

// TestSenderFails says whose fault it is.
func TestSenderFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memLoop(t)
		for _, x := range []struct {
			peer   Side
			hangUp bool
			status int
			cause  byte
		}{{ByClient, false, 0, 'c'}, {ByClient, true, 0, 'C'}, {ByServer, false, 504, 's'}, {ByServer, true, 502, 'S'}} {
			c, far := pair(t, l, x.peer)
			if x.hangUp {
				far.Close()
			}
			do(l, func() {
				var err error
				for range 10 { // the first writes may be taken
					s := Sender{Conn: c, Head: []byte("H"), Patience: time.Second}
					if err = s.Send(&Static{B: []byte("abc")}); err != nil {
						break
					}
					l.Sleep(100 * time.Millisecond)
				}
				he, ok := errors.AsType[*Error](err)
				if !ok || he.Side != x.peer || he.Status != x.status || he.Cause != x.cause || he.State != 'D' {
					t.Errorf("%v, hung up %v: %#v", x.peer, x.hangUp, err)
				}
				c.Close()
			})
		}
	})
}

func TestAppendRequest(t *testing.T) {
	for _, x := range []struct{ in, want string }{
		{"GET http://b/x?y HTTP/1.0\r\nA: 1\r\nConnection: close\r\n\r\n", "GET /x?y HTTP/1.1\r\nA: 1\r\nHost: b\r\n"},
		{"GET /x HTTP/1.0\r\nA: 1\r\n\r\n", "GET /x HTTP/1.1\r\nHost:\r\nA: 1\r\n"}, // RFC 9112 3.2
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nB: 2\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nB: 2\r\nTransfer-Encoding: chunked\r\n"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nB: 2\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nB: 2\r\n"},
		{"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"},
	} {
		var r Request
		if _, err := r.Parse([]byte(x.in), nil); err != nil {
			t.Fatal(err)
		}
		if got := string(AppendRequest(nil, &r)); got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
	var r Response
	if _, err := r.Parse([]byte("HTTP/1.0 404 Nobody home\r\n\r\n"), []byte("GET"), nil); err != nil {
		t.Fatal(err)
	}
	if got := string(AppendStatusLine(nil, &r)); got != "HTTP/1.1 404 Nobody home\r\n" {
		t.Errorf("%q", got)
	}
}
