package tlsconf

import (
	"bytes"
	"crypto/tls"
	"testing"
	"time"
)

// FuzzImportTickets: what is taken for keys is passed on as it came, but for a key that was due.
func FuzzImportTickets(f *testing.F) {
	f.Add([]byte{})
	f.Add(NewTickets().Export())
	two := NewTickets()
	two.turn(time.Now().Add(ticketTurn))
	f.Add(two.Export())
	f.Add(make([]byte, 8+32))
	f.Add(make([]byte, 8+4*32))
	f.Add(make([]byte, 8+33))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ImportTickets(b)
		if err != nil {
			return
		}
		if n := len(x.keys); n < 1 || n > ticketKeys || !x.due.After(time.Now()) || x.due.After(time.Now().Add(ticketTurn)) {
			t.Errorf("%d keys until %v", n, x.due)
		}
		got, had := x.Export()[8:], b[8:]
		if !bytes.Equal(got, had) && !bytes.HasPrefix(had, got[32:]) {
			t.Errorf("%x becomes %x", had, got)
		}
	})
}

// TestTicketsGoOn: whoever has a ticket of one process resumes with the next one.
func TestTicketsGoOn(t *testing.T) {
	ca := mintCA(nil, "root")
	at := mint(&ca, newKey(""), nil, "a.test").write(t, t.TempDir(), "a.pem")
	for _, v := range versions {
		one := serve(t, &Config{Certificate: at})
		tickets, err := ImportTickets(one.Tickets().Export())
		if err != nil {
			t.Fatal(err)
		}
		if !tickets.due.Equal(one.tickets.due.Truncate(time.Second)) {
			t.Errorf("the next key is due %v, not %v", tickets.due, one.tickets.due)
		}
		next := serve(t, &Config{Certificate: at, Tickets: tickets})
		if !resumes(t, ca, v, one.Config(), next.Config(), one.Close) {
			t.Errorf("%s: no resumption with the next process", tls.VersionName(v))
		}
	}
}
