package frontend

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// dialRaw opens a connection of HTTP/3 on which a test writes what it likes.
func (s *scene) dialRaw() *quic.Conn {
	s.Helper()
	qc, err := quic.DialAddr(s.Context(), s.n.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { qc.CloseWithError(0, "") })
	ctrl, err := qc.OpenUniStream()
	if err != nil {
		s.Fatal(err)
	}
	ctrl.Write([]byte{0, 4, 0}) // a control stream, with empty SETTINGS
	return qc
}

// TestHTTP3RapidReset is row 54: a client that takes back its requests all the time is sent away, and so is one whose requests are malformed;
// those that others have under way stay bounded meanwhile.
func TestHTTP3RapidReset(t *testing.T) {
	for _, malformed := range []bool{false, true} {
		s := onScene(t, &Config{Name: "www", Limits: &Limits{Target: 1000, Field: 2000, Head: 4000, Fields: 20, MaxStreams: 10}}, func(x *h1.Exchange) error {
			var e loop.Event
			x.Cancel = func() { e.Set(x.Loop) }
			e.Wait(x.Loop, patience)
			return &h1.Error{Side: h1.ByClient, Err: errors.New("gone"), Cause: 'C'}
		})
		qc := s.dialRaw()
		fields := [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}}
		if malformed {
			fields[3][1] = "/a b" // which quic-go does not mind
		}
		n := 0
		for ; n < 1000; n++ {
			str, err := qc.OpenStreamSync(t.Context())
			if err != nil {
				break
			}
			str.Write(headersFrame(fields))
			str.Close() // so that the request arrives, whatever follows it
			if malformed {
				str.Read(make([]byte, 1))
			}
			str.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		}
		<-qc.Context().Done()
		ae, ok := errors.AsType[*quic.ApplicationError](context.Cause(qc.Context()))
		if !ok || ae.ErrorCode != quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad) {
			t.Errorf("malformed %v: after %d requests: %v", malformed, n, context.Cause(qc.Context()))
		}
		if n < 10 {
			t.Errorf("malformed %v: sent away after %d requests", malformed, n)
		}
		if bad := s.f.Stats.Bad.Load(); bad == 0 {
			t.Error("nobody counts it")
		}
		s.close()
	}
}

// TestHTTP3RefusesTooMany: requests beyond those a client may have under way are rejected, so that it may send them again.
func TestHTTP3RefusesTooMany(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, says("ok"))
	qc := s.dialRaw()
	ask := func() (status string, err error) {
		str, err := qc.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		str.Write(headersFrame([][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}}))
		str.Close()
		b, err := io.ReadAll(str)
		return statusIn(b), err
	}
	if got, err := ask(); got != "200" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	conns, _ := s.n.quic.Load().list()
	conns[0].active.Add(2 * conns[0].most)
	_, err := ask()
	if se, ok := errors.AsType[*quic.StreamError](err); !ok || se.ErrorCode != quic.StreamErrorCode(http3.ErrCodeRequestRejected) {
		t.Errorf("one too many: %v", err)
	}
	conns[0].active.Add(-2 * conns[0].most)
	if got, err := ask(); got != "200" || err != nil {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// once is a socket that keeps the first datagram that is written, and hears nothing.
type once struct {
	*net.UDPConn
	first chan []byte
}

// WriteMsgUDP is how quic-go writes.
func (c *once) WriteMsgUDP(b, oob []byte, _ *net.UDPAddr) (int, int, error) {
	select {
	case c.first <- bytes.Clone(b):
	default:
	}
	return len(b), len(oob), nil
}

// TestHTTP3RetryInABurst: when handshakes are under way without end, most of those who come all at once are still asked for their address, rather
// than overlooked.
func TestHTTP3RetryInABurst(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, says("ok"))
	side := s.n.quic.Load()
	side.greets.Add(retryAbove)
	defer side.greets.Add(-retryAbove)
	to := net.UDPAddrFromAddrPort(s.n.Addr().AddrPort)
	mute, err := net.ListenUDP("udp", &net.UDPAddr{IP: to.IP})
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	keep := &once{UDPConn: mute, first: make(chan []byte, 1)}
	tr := &quic.Transport{Conn: keep}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		tr.Dial(ctx, to, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil) // whose error is the end of the context
	}()
	hello := <-keep.first
	cancel()
	<-over
	tr.Close()

	c, err := net.DialUDP("udp", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadBuffer(1 << 20)
	const burst = 200
	for range burst {
		c.Write(hello)
	}
	asked, b := 0, make([]byte, 2000)
	for c.SetReadDeadline(time.Now().Add(time.Second)); asked < burst; asked++ {
		if _, err := c.Read(b); err != nil {
			break
		}
		if b[0]&0xb0 != 0xb0 { // "Header Form (1) = 1 … Long Packet Type (2) = 3" (RFC 9000 17.2.5)
			t.Fatalf("answered by % x", b[:8])
		}
	}
	if asked < burst*3/4 {
		t.Errorf("%d of %d are asked for their address", asked, burst)
	}
}
