package frontend

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/ipv4"
)

// message is a place for a datagram as quic-go has them.
func message() ipv4.Message {
	return ipv4.Message{Buffers: [][]byte{make([]byte, 1500)}, OOB: make([]byte, 128)}
}

// FuzzReadRelayed: whatever is taken for a relayed datagram is the same when it is relayed once more.
func FuzzReadRelayed(f *testing.F) {
	for _, from := range []string{"192.0.2.1:443", "[2001:db8::1]:1", "[fe80::1%eth0]:65535"} {
		m := message()
		m.Addr = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from))
		m.N = copy(m.Buffers[0], "datagram")
		f.Add(appendRelayed(nil, &m))
		m.NN = 24 // a control message: length, level, type, data
		m.OOB[0], m.OOB[12], m.OOB[16] = 17, 1, 2
		f.Add(appendRelayed(nil, &m))
	}
	f.Add([]byte{})
	f.Add(make([]byte, 19))
	f.Add(make([]byte, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := message()
		if !readRelayed(b, &m) {
			return
		}
		if m.N == 0 {
			t.Error("a datagram of nothing")
		}
		again := message()
		if !readRelayed(appendRelayed(nil, &m), &again) || again.Addr.String() != m.Addr.String() || again.NN != m.NN || again.N != m.N ||
			!bytes.Equal(again.OOB, m.OOB) || !bytes.Equal(again.Buffers[0], m.Buffers[0]) {
			t.Errorf("%q is read as %+v, and then as %+v", b, m, again)
		}
	})
}

// FuzzTagIn: a tag is found where the connection ID of a packet is, and nowhere beyond its end.
func FuzzTagIn(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x40})
	f.Add(append([]byte{0x40}, "abcdefghijkl"...))
	f.Add(append([]byte{0xc0, 0, 0, 0, 1, connIDLen}, "abcdefghijkl"...))
	f.Add(append([]byte{0xc0, 0, 0, 0, 1, 8}, "abcdefghijkl"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		tag, ok := tagIn(b)
		if !ok {
			return
		}
		id := b[1:]
		if b[0]&0x80 != 0 {
			if b[5] != connIDLen {
				t.Errorf("%q has an ID of another length", b)
			}
			id = b[6:]
		}
		if len(id) < connIDLen || !bytes.HasPrefix(id, tag[:]) {
			t.Errorf("%q has the tag %v", b, tag)
		}
		if back, err := parseTag(tag.String()); back != tag || err != nil {
			t.Errorf("%v is read as %v, %v", tag, back, err)
		}
	})
}

func TestTagNames(t *testing.T) {
	for _, s := range []string{"", "0011", "001122334", "0011223g", "00112233 ", "0011223344"} {
		if tag, err := parseTag(s); err == nil {
			t.Errorf("%q is read as %v", s, tag)
		}
	}
	tag := newTag()
	id, err := tag.GenerateConnectionID()
	other, _ := tag.GenerateConnectionID()
	if err != nil || id.Len() != tag.ConnectionIDLen() || id == other || !bytes.HasPrefix(id.Bytes(), tag[:]) {
		t.Errorf("%v, %v, %v", id, other, err)
	}
}
