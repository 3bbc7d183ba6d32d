package backend

import (
	"bytes"
	"fmt"
	"io"

	"gatehouse/backend/h1"
	"gatehouse/backend/h2"
)

// checkH2 is a check's connection to a server that speaks HTTP/2: what the check says in the words of HTTP/1 goes out as the one request of
// the connection, and what the server answers is read in those words.
type checkH2 struct {
	stream
	host   string // the authority, where the check names none
	method []byte
	dec    h2.Decoder
	in     []byte // what came and is not read yet
	begun  bool   // the first frame came
	block  []byte
	head   h2.Frame // of a header block whose end is still to come
	said   []byte   // of the answer, in words, not handed out yet
	headed bool
	ended  bool
}

// speak returns the connection of an "http" check as the server's version of HTTP wants it.
func (p Protocol) speak(s stream, host string) (stream, error) {
	t, secure := s.(*checkTLS)
	chosen := secure && t.t.ConnectionState().NegotiatedProtocol == protocolH2
	switch {
	case p == ProtocolHTTP1, p == ProtocolAuto && !chosen:
		return s, nil
	case secure && !chosen:
		return s, errNotChosen
	}
	return &checkH2{stream: s, host: host}, nil
}

// Write sends the request that b is the text of.
func (c *checkH2) Write(b []byte) (int, error) {
	line, lines, _ := bytes.Cut(b, []byte("\r\n"))
	words := bytes.Fields(line)
	if len(words) < 2 { // see Check.Check
		return 0, fmt.Errorf("%q is no request", line)
	}
	q := h1.Request{Method: words[0], Target: words[1]}
	c.method = words[0]
	for l := range bytes.SplitSeq(lines, []byte("\r\n")) {
		if name, value, ok := bytes.Cut(l, []byte(": ")); ok {
			q.Header.Add(string(name), value)
		}
	}
	if !q.Header.Has(h1.Host) {
		q.Header.AddString("Host", c.host)
	}
	_, secure := c.stream.(*checkTLS)
	out := append([]byte(h2.Preface), h2.AppendSetting(h2.AppendFrame(nil, h2.Frame{Len: 6, Type: h2.SettingsFrame}), h2.EnablePush, 0)...)
	out = h2.AppendHeaders(out, 1, h2.AppendRequest(nil, &q, secure), true)
	if _, err := c.stream.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Read returns the answer in words.
func (c *checkH2) Read(b []byte) (int, error) {
	for len(c.said) == 0 {
		if c.ended {
			return 0, io.EOF
		}
		if err := c.frames(); err != nil {
			return 0, err
		}
		if len(c.said) > 0 || c.ended {
			continue
		}
		var room [4 << 10]byte
		n, err := c.stream.Read(room[:])
		c.in = append(c.in, room[:n]...)
		if n == 0 && err != nil {
			return 0, err
		}
	}
	n := copy(b, c.said)
	c.said = c.said[n:]
	return n, nil
}

// frames takes the whole frames that are here.
func (c *checkH2) frames() error {
	if !c.begun && bytes.HasPrefix(c.in, plainAnswer) {
		return errPlainServer
	}
	for len(c.in) >= h2.FrameHead && !c.ended {
		f := h2.ParseFrame(c.in)
		switch {
		case !c.begun && f.Type != h2.SettingsFrame:
			return errFirstFrame
		case f.Len > h2.MaxFrame:
			return errLongFrame
		case len(c.in) < h2.FrameHead+f.Len:
			return nil
		}
		c.begun = true
		p := c.in[h2.FrameHead : h2.FrameHead+f.Len]
		if err := c.frame(f, p); err != nil {
			return err
		}
		c.in = c.in[h2.FrameHead+f.Len:]
	}
	return nil
}

func (c *checkH2) frame(f h2.Frame, p []byte) (err error) {
	switch f.Type {
	case h2.SettingsFrame:
		if !f.Flags.Has(h2.Ack) {
			_, err = c.stream.Write(h2.AppendFrame(nil, h2.Frame{Type: h2.SettingsFrame, Flags: h2.Ack}))
		}
	case h2.Ping:
		if !f.Flags.Has(h2.Ack) && f.Len == 8 {
			_, err = c.stream.Write(h2.AppendPing(nil, true, p))
		}
	case h2.Headers:
		if p, err = f.Block(p); err != nil {
			return err
		}
		c.head, c.block = f, append(c.block[:0], p...)
		if f.Flags.Has(h2.EndHeaders) {
			err = c.whole()
		}
	case h2.Continuation:
		if c.block = append(c.block, p...); len(c.block) > h2.MaxHead {
			return errLongHead
		}
		if f.Flags.Has(h2.EndHeaders) {
			err = c.whole()
		}
	case h2.Data:
		if p, err = f.Unpad(p); err == nil && c.headed {
			c.said = append(c.said, p...)
			c.ended = f.Flags.Has(h2.EndStream)
		}
	case h2.ResetStream, h2.GoAway:
		if f.Type == h2.ResetStream || !c.headed {
			return fmt.Errorf("the server has ended the stream")
		}
	}
	return err
}

// whole takes a header block.
func (c *checkH2) whole() error {
	c.ended = c.head.Flags.Has(h2.EndStream)
	if c.headed { // a trailer section
		return nil
	}
	var r h1.Response
	if err := h2.Response(&c.dec, c.block, &r, c.method, c.ended); err != nil {
		return err
	}
	if c.headed = r.Status >= 200; c.headed {
		c.said = append(r.Header.AppendTo(h1.AppendStatusLine(c.said, &r)), "\r\n"...)
	}
	return nil
}
