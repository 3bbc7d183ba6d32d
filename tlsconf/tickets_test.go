package tlsconf

import (
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"
)

// resumes connects twice with a store of tickets between and reports whether the second was a resumption.
func resumes(t *testing.T, m minted, version uint16, first, second *tls.Config, between func()) bool {
	t.Helper()
	client := clientFor(m, "a.test")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	client.MinVersion, client.MaxVersion = version, version
	if cs, err, _ := shake(t, first, client); err != nil || cs.DidResume {
		t.Fatalf("first handshake: %v, resumed %v", err, cs.DidResume)
	}
	if between != nil {
		between()
	}
	cs, err, serverErr := shake(t, second, client)
	if err != nil {
		t.Fatalf("second handshake: %v, %v", err, serverErr)
	}
	return cs.DidResume
}

var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// TestTicketsSurvive: clients resume across connections, across configurations, across a swap of the certificate and across
// a reload.
func TestTicketsSurvive(t *testing.T) {
	dir := t.TempDir()
	ca := mintCA(nil, "root")
	at := mint(&ca, newKey(""), nil, "a.test").write(t, dir, "a.pem")
	for _, v := range versions {
		one := serve(t, &Config{Certificate: at})
		next := serve(t, &Config{Certificate: at, Tickets: one.Tickets()})
		stranger := serve(t, &Config{Certificate: at})
		name := tls.VersionName(v)
		if !resumes(t, ca, v, one.Config(), one.Config(), nil) {
			t.Errorf("%s: no resumption", name)
		}
		if !resumes(t, ca, v, one.Config(), one.ConfigFor("h2", "http/1.1"), nil) {
			t.Errorf("%s: no resumption with other protocols", name)
		}
		if !resumes(t, ca, v, one.Config(), one.Config().Clone(), nil) {
			t.Errorf("%s: no resumption with a clone", name)
		}
		if !resumes(t, ca, v, one.Config(), next.Config(), one.Close) {
			t.Errorf("%s: no resumption in the next generation", name)
		}
		if resumes(t, ca, v, next.Config(), stranger.Config(), nil) {
			t.Errorf("%s: resumption with somebody else's keys", name)
		}
		before := next.List()[0].Fingerprint
		if !resumes(t, ca, v, next.Config(), next.Config(), func() {
			mint(&ca, newKey(""), nil, "a.test").write(t, dir, "a.pem")
			next.reread(true)
		}) {
			t.Errorf("%s: no resumption after the certificate was replaced", name)
		}
		if next.List()[0].Fingerprint == before {
			t.Error("the certificate was not replaced")
		}
	}
}

// TestTicketIsForOneHost: crypto/tls alone would resume under any name.
func TestTicketIsForOneHost(t *testing.T) {
	ca := mintCA(nil, "root")
	dir := t.TempDir()
	mint(&ca, newKey(""), nil, "a.test", "b.test").write(t, dir, "a.pem")
	certs := serve(t, &Config{Certificate: dir})
	// A client that uses its tickets everywhere.
	client := clientFor(ca, "a.test")
	client.MinVersion = tls.VersionTLS13
	client.ClientSessionCache = oneSlot{tls.NewLRUClientSessionCache(1)}
	for _, tt := range []struct {
		host    string
		resumed bool
		ok      bool
	}{{"a.test", false, true}, {"A.test", true, true}, {"b.test", false, true}, {"b.test", true, true}, {"c.test", false, false}} {
		client.ServerName = tt.host
		// A client checks the name against the certificate of the ticket, before it sends it.
		client.InsecureSkipVerify = true
		cs, err, _ := shake(t, certs.Config(), client)
		if (err == nil) != tt.ok || cs.DidResume != tt.resumed {
			t.Errorf("%s: got %v, resumed %v; want %v, %v", tt.host, err, cs.DidResume, tt.ok, tt.resumed)
		}
	}
}

// oneSlot keeps one session for all hosts.
type oneSlot struct{ tls.ClientSessionCache }

func (o oneSlot) Get(string) (*tls.ClientSessionState, bool) { return o.ClientSessionCache.Get("") }
func (o oneSlot) Put(_ string, s *tls.ClientSessionState)    { o.ClientSessionCache.Put("", s) }

// TestTicketKeysTurn: a ticket outlives two turns of the keys and not three.
func TestTicketKeysTurn(t *testing.T) {
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {ticketTurn + time.Second, true}, {2*ticketTurn + time.Second, true}, {3*ticketTurn + time.Second, false}} {
		synctest.Test(t, func(t *testing.T) {
			m := mint(nil, newKey(""), nil, "a.test")
			certs := serve(t, &Config{Certificate: m.write(t, t.TempDir(), "a.pem")})
			for _, v := range versions {
				if got := resumes(t, m, v, certs.Config(), certs.Config(), func() { time.Sleep(tt.after) }); got != tt.want {
					t.Errorf("%s after %v: resumed %v, want %v", tls.VersionName(v), tt.after, got, tt.want)
				}
			}
		})
	}
}

// TestTicketsTurnOnce: two generations ask for the same turn; a second key would shorten the life of tickets.
func TestTicketsTurnOnce(t *testing.T) {
	k, now := NewTickets(), time.Now()
	first := k.keys[0]
	due := k.turn(now)
	if k.keys[0] != first || len(k.keys) != 1 {
		t.Error("turned before it was due")
	}
	next := k.turn(due)
	second := k.keys[0]
	if second == first || next != due.Add(ticketTurn) || k.turn(due) != next || k.keys[0] != second || k.keys[1] != first {
		t.Error("did not turn once when due")
	}
	for range 5 {
		next = k.turn(next)
	}
	if len(k.keys) != ticketKeys {
		t.Errorf("%d keys, want %d", len(k.keys), ticketKeys)
	}
}
