package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse/backend/loop"
)

// finding is what one check comes to.
type finding uint8

const (
	ill     finding = iota
	leaving         // it says itself that nobody new shall come (drain_on)
	well
)

// probe checks once. It returns how the server is, and what it did, in words.
func (r *round) probe() (found finding, said string) {
	l := r.loop
	begin := l.Now()
	a, err := r.address()
	if err != nil {
		return ill, err.Error()
	}
	c, err := r.dial(l, loop.Dial{To: a, From: r.t.source, Timeout: r.left(begin), Making: &r.conn})
	if err != nil {
		if timedOut(err) {
			return ill, fmt.Sprintf("connect %s: no answer within %s", a, r.wait)
		}
		return ill, fmt.Sprintf("connect %s: %v", a, cause(err))
	}
	r.conn = c
	s := stream(c)
	defer func() {
		r.conn = nil
		s.Close()
	}()
	if r.over.IsSet() {
		return ill, "stopped"
	}
	if r.greets() {
		if s, err = r.t.greet(c, r.c.Kind != CheckTLS, r.left(begin)); err != nil {
			if timedOut(err) {
				return ill, fmt.Sprintf("no TLS handshake within %s", r.wait)
			}
			return ill, fmt.Sprintf("not greeted: %v", cause(err))
		}
		if r.c.Kind == CheckHTTP {
			if s, err = r.t.protocol.speak(s, authorityOf(a)); err != nil {
				return ill, err.Error()
			}
		}
	}
	if r.send == nil {
		r.send = r.message(a)
	}
	if len(r.send) > 0 {
		c.SetWriteTimeout(r.left(begin))
		if _, err := s.Write(r.send); err != nil {
			// Whoever closes without reading may have answered before.
			if timedOut(err) {
				return ill, fmt.Sprintf("%s takes no request within %s", a, r.wait)
			}
		}
	}
	switch {
	case r.c.Kind == CheckTCP && r.pattern == nil:
		return well, "connected" + r.after(begin)
	case r.c.Kind == CheckTCP:
		return r.text(s, nil, begin)
	}
	return r.answer(s, begin)
}

// stream is what a check speaks over: the connection, or TLS on it.
type stream interface {
	io.ReadWriteCloser
	SetReadTimeout(d time.Duration)
}

// answer reads as much as the verdict needs.
func (r *round) answer(c stream, begin int64) (found finding, said string) {
	need, verdict := statusLen, r.httpVerdict
	if r.c.Kind == CheckTLS {
		need, verdict = recordLen, r.tlsVerdict
	}
	var room [512]byte
	n := 0
	for n < need {
		c.SetReadTimeout(r.left(begin))
		k, err := c.Read(room[n:])
		n += k
		switch {
		case n >= need || err == nil:
		case timedOut(err):
			return ill, fmt.Sprintf("no answer within %s", r.wait)
		case !errors.Is(err, io.EOF):
			return ill, fmt.Sprintf("no answer: %v", cause(err))
		case n > 0:
			if found, said = verdict(room[:n]); found == well && r.pattern != nil {
				return r.text(c, room[:n], begin)
			}
			return found, said + r.after(begin)
		default:
			return ill, "connection closed without an answer" + r.after(begin)
		}
	}
	found, said = verdict(room[:n])
	if found == well && r.pattern != nil {
		return r.text(c, room[:n], begin)
	}
	return found, said + r.after(begin)
}

// maxText is how much of an answer is searched for the text that is expected.
const maxText = 64 << 10

// text reads on behind what has come of an answer until the expected text is found in it, in an HTTP answer behind its head.
func (r *round) text(c stream, come []byte, begin int64) (found finding, said string) {
	b := append(make([]byte, 0, 4<<10), come...)
	where := "answer"
	for {
		text, there := b, true
		if r.c.Kind == CheckHTTP {
			where = "content"
			_, text, there = bytes.Cut(b, []byte("\r\n\r\n"))
		}
		if there && r.pattern.Match(text) {
			return well, fmt.Sprintf("%s has %q%s", where, r.c.ExpectText, r.after(begin))
		}
		if len(b) >= maxText {
			return ill, fmt.Sprintf("the first %d bytes of the answer lack %q%s", maxText, r.c.ExpectText, r.after(begin))
		}
		b = slices.Grow(b, 1)
		c.SetReadTimeout(r.left(begin))
		n, err := c.Read(b[len(b):min(cap(b), maxText)])
		b = b[:len(b)+n]
		switch {
		case n > 0 || err == nil:
		case timedOut(err):
			return ill, fmt.Sprintf("%s %s lacks %q within %s", where, quoteStart(text), r.c.ExpectText, r.wait)
		case !errors.Is(err, io.EOF):
			return ill, fmt.Sprintf("%s %s lacks %q: %v", where, quoteStart(text), r.c.ExpectText, cause(err))
		default:
			return ill, fmt.Sprintf("%s %s lacks %q%s", where, quoteStart(text), r.c.ExpectText, r.after(begin))
		}
	}
}

func (r *round) httpVerdict(b []byte) (found finding, said string) {
	status, ok := statusOf(b)
	if !ok {
		return ill, fmt.Sprintf("answer %s is not HTTP", quoteStart(b))
	}
	said = "HTTP status " + strconv.Itoa(status)
	for _, s := range r.c.Expect {
		if s.has(status) {
			return well, said
		}
	}
	for _, s := range r.c.DrainOn {
		if s.has(status) {
			return leaving, said
		}
	}
	return ill, said + ", expected " + listOf(r.c.Expect) + ","
}

func (r *round) tlsVerdict(b []byte) (found finding, said string) {
	if !isRecord(b) {
		return ill, fmt.Sprintf("answer %s is not TLS", quoteStart(b))
	}
	return well, "TLS answer"
}

// listOf reads "2xx, 404 or 3xx".
func listOf(list []Statuses) string {
	var words []string
	for _, s := range list {
		words = append(words, s.String())
	}
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " or " + words[n]
	}
	return strings.Join(words, "")
}

func quoteStart(b []byte) string { return strconv.Quote(string(b[:min(len(b), statusLen)])) }

// left returns what is left of the time of a check, at least a millisecond.
func (r *round) left(begin int64) time.Duration {
	return max(time.Millisecond, r.wait-time.Duration(r.loop.Now()-begin)*time.Millisecond)
}

func (r *round) after(begin int64) string {
	return fmt.Sprintf(" after %d ms", r.loop.Now()-begin)
}

// address returns the address to check. It parks while a name is being looked up.
func (r *round) address() (loop.Addr, error) {
	const pause = 20 * time.Millisecond
	l := r.loop
	a := r.t.address()
	if r.c.Address != nil {
		a = *r.c.Address
		if a.Host != "" {
			return r.lookup(a)
		}
	} else {
		for begin := l.Now(); a.Host != ""; a = r.t.address() {
			if r.left(begin) <= pause {
				return a, fmt.Errorf("the name %s is not resolved within %s", a.Host, r.wait)
			}
			if r.over.Wait(l, pause) {
				return a, errors.New("stopped")
			}
		}
	}
	return r.port(a), nil
}

// lookup resolves the name in a check's own address, for each check anew.
func (r *round) lookup(a loop.Addr) (loop.Addr, error) {
	var ips []netip.Addr
	var err error
	r.loop.Block(func() {
		ctx, cancel := context.WithTimeout(context.Background(), r.wait)
		defer cancel()
		ips, err = r.resolve(ctx, a.Host)
	})
	switch {
	case err != nil:
		return a, err
	case len(ips) == 0:
		return a, fmt.Errorf("the name %s has no address", a.Host)
	}
	return r.port(loop.Addr{AddrPort: netip.AddrPortFrom(ips[0].Unmap(), a.Port())}), nil
}

func (r *round) port(a loop.Addr) loop.Addr {
	if r.c.Port != 0 {
		a = a.WithPort(uint16(r.c.Port))
	}
	return a
}

func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// cause strips the name of the system call.
func cause(err error) error {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return err
}

// statusLen is how much of an HTTP answer is looked at: "HTTP/1.1 200".
const statusLen = 12

// statusOf returns the status in the first bytes of an answer.
func statusOf(b []byte) (status int, ok bool) {
	if len(b) < statusLen || !bytes.HasPrefix(b, []byte("HTTP/1.")) || b[7] < '0' || b[7] > '9' || b[8] != ' ' {
		return 0, false
	}
	for _, c := range b[9:statusLen] {
		if c < '0' || c > '9' {
			return 0, false
		}
		status = status*10 + int(c-'0')
	}
	return status, status >= 100
}
