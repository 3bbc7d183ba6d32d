package house_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

// Calls of gRPC over HTTP/3, for which there is no client of gRPC's own: what is said is the same as over HTTP/2, on streams of QUIC.

// call3 is a call under way.
type call3 struct {
	testing.TB
	out  *io.PipeWriter
	resp *http.Response
}

// call3 begins a call with a first message: a server may wait for it before it says anything. With whole, nothing follows it.
func (r *rig) call3(method string, first *words, whole bool) *call3 {
	r.Helper()
	pr, pw := io.Pipe()
	q := asked(r, "POST", "https://a.test"+method, pr)
	q.Header.Set("Content-Type", "application/grpc")
	q.Header.Set("TE", "trailers")
	c := &call3{TB: r, out: pw}
	r.Cleanup(func() { pw.Close() })
	go func() {
		c.say(first)
		if whole {
			pw.Close()
		}
	}()
	resp, err := overUDP(r, r.addr, nil).Do(q)
	if err != nil {
		r.Fatal(err)
	}
	c.resp = resp
	r.Cleanup(func() { resp.Body.Close() })
	return c
}

// say sends a message.
func (c *call3) say(w *words) {
	b, err := proto.Marshal(w)
	if err == nil {
		_, err = c.out.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...))
	}
	if err != nil {
		c.Error(err)
	}
}

// hear returns the next message, "" and io.EOF after the last one.
func (c *call3) hear() (string, error) {
	var head [5]byte
	if _, err := io.ReadFull(c.resp.Body, head[:]); err != nil {
		return "", err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(c.resp.Body, b); err != nil {
		return "", err
	}
	w := &words{}
	err := proto.Unmarshal(b, w)
	return string(w.Value), err
}

// TestGRPCOverHTTP3: a conversation in which each answer is awaited before the next word, longer pauses than other content may have, and
// trailers at the end.
func TestGRPCOverHTTP3(t *testing.T) {
	t.Parallel()
	r := build(t, plan{tls: true, bind: "http3 = true", front: `timeouts { client = "200ms" }`,
		back: "timeouts {\n server = \"200ms\"\n tunnel = \"1m\"\n }\n" + speaking((&echoer{}).service(t))})
	c := r.call3(stream, wordsOf("first"), false)
	if s, err := c.hear(); s != "firstfirst" || err != nil {
		t.Fatalf("%q, %v", s, err)
	}
	for i := range 20 {
		w := fmt.Sprint("word", i)
		c.say(wordsOf(w))
		if s, err := c.hear(); s != w+w || err != nil {
			t.Fatalf("%q, %v", s, err)
		}
		if i%10 == 0 {
			<-time.After(350 * time.Millisecond) // the silence is what this is about
		}
	}
	c.out.Close()
	if s, err := c.hear(); err != io.EOF || c.resp.Trailer.Get("Grpc-Status") != "0" || c.resp.Trailer.Get("End") != "regular" {
		t.Errorf("%q, %v, %v", s, err, c.resp.Trailer)
	}
	if l := r.line(); l.Status != 200 || l.Protocol != "HTTP/3.0" || l.Termination != "----" {
		t.Errorf("the line %+v", l)
	}
	// An error of the server's, with nothing before it, and one with trailers of its own.
	r = build(t, plan{tls: true, bind: "http3 = true", back: speaking((&echoer{}).service(t))})
	c = r.call3("/test.Echo/None", wordsOf("x"), false)
	if s, err := c.hear(); err != io.EOF || c.resp.Header.Get("Grpc-Status") != "12" {
		t.Errorf("%q, %v, %v", s, err, c.resp.Header)
	}
	c = r.call3(unary, wordsOf("fail"), true)
	if s, err := c.hear(); err != io.EOF || c.resp.Header.Get("Grpc-Status")+c.resp.Trailer.Get("Grpc-Status") != "9" {
		t.Errorf("%q, %v, %v, %v", s, err, c.resp.Header, c.resp.Trailer)
	}
}

// TestGRPCRefusedOverHTTP3: what the house answers itself is a status of gRPC, in a head that is the whole answer.
func TestGRPCRefusedOverHTTP3(t *testing.T) {
	t.Parallel()
	r := build(t, plan{tls: true, bind: "http3 = true", back: speaking("127.0.0.1:1") + " retries = 0"})
	c := r.call3(unary, wordsOf("x"), true)
	h := c.resp.Header
	if s, err := c.hear(); c.resp.StatusCode != 200 || err != io.EOF || h.Get("Grpc-Status") != "14" || !strings.HasPrefix(h.Get("Grpc-Message"), "503 ") ||
		h.Get("Content-Type") != "application/grpc" {
		t.Errorf("%+v, %q, %v", c.resp, s, err)
	}
	if l := r.line(); l.Status != 200 || l.Termination != "SC--" {
		t.Errorf("the line %+v", l)
	}
}

// TestGRPCCancelledOverHTTP3: a call that its client gives up ends on the server too.
func TestGRPCCancelledOverHTTP3(t *testing.T) {
	t.Parallel()
	e := &echoer{ended: make(chan error, 1)}
	r := build(t, plan{tls: true, bind: "http3 = true", back: speaking(e.service(t))})
	c := r.call3(stream, wordsOf("x"), false)
	if s, err := c.hear(); s != "xx" || err != nil {
		t.Fatalf("%q, %v", s, err)
	}
	c.out.CloseWithError(errors.New("no more")) // which resets the request
	c.resp.Body.Close()
	select {
	case err := <-e.ended:
		if err == nil {
			t.Error("the server was told of a regular end")
		}
	case <-time.After(patience):
		t.Error("the server was not told")
	}
}
