package tlsconf

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"testing"
)

// sessionOf returns a session as a handshake has it sealed, and the state of its connection.
func sessionOf(t testing.TB) (session *tls.SessionState, cs tls.ConnectionState) {
	m := mint(nil, newKey(""), nil, "shop.example.com")
	certs := serve(t, &Config{Certificate: m.write(t, t.TempDir(), "a.pem")})
	server, client := certs.Config().Clone(), clientFor(m, "shop.example.com")
	server.WrapSession = func(state tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		session, cs = ss, state
		return certs.Tickets().wrap(state, ss)
	}
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1) // else none is sent
	if _, err, _ := shake(t, server, client); err != nil {
		t.Fatal(err)
	}
	return session, cs
}

// TestDamagedTicketsOpenNothing: whatever was changed in a ticket, a full handshake follows and no error.
func TestDamagedTicketsOpenNothing(t *testing.T) {
	ss, cs := sessionOf(t)
	k := NewTickets()
	ticket, err := k.wrap(cs, ss)
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.wrap(cs, ss)
	if err != nil || bytes.Equal(ticket, again) {
		t.Errorf("two tickets for a session are the same, %v", err)
	}
	if got, err := k.unwrap(ticket, cs); got == nil || err != nil {
		t.Fatalf("the ticket itself: %v, %v", got, err)
	}
	refused := func(what string, ticket []byte) {
		if got, err := k.unwrap(ticket, cs); got != nil || err != nil {
			t.Errorf("%s: got %v, %v; want neither", what, got, err)
		}
	}
	for i := range ticket {
		bad := bytes.Clone(ticket)
		bad[i] ^= 1
		refused(fmt.Sprintf("bit in byte %d", i), bad)
		refused(fmt.Sprintf("cut to %d bytes", i), ticket[:i])
	}
	refused("a byte more", append(bytes.Clone(ticket), 0))
	cs.ServerName = "shop.example.co"
	refused("another host", ticket)
	cs.ServerName = ""
	refused("no host", ticket)
}

func FuzzTicketOpen(f *testing.F) {
	ss, cs := sessionOf(f)
	k := NewTickets()
	ticket, err := k.wrap(cs, ss)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ticket)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := k.unwrap(b, cs)
		if err != nil || (got != nil) != bytes.Equal(b, ticket) {
			t.Errorf("%x: got %v, %v", b, got, err)
		}
	})
}

func BenchmarkTicketSeal(b *testing.B) {
	ss, cs := sessionOf(b)
	k := NewTickets()
	b.ReportAllocs()
	for b.Loop() {
		ss.Extra = nil
		if _, err := k.wrap(cs, ss); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTicketOpen(b *testing.B) {
	ss, cs := sessionOf(b)
	k := NewTickets()
	ticket, err := k.wrap(cs, ss)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(ticket)), "bytes")
	b.ReportAllocs()
	for b.Loop() {
		if ss, err := k.unwrap(ticket, cs); ss == nil || err != nil {
			b.Fatal(err)
		}
	}
}
