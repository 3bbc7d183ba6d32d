package frontend

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"gatehouse/backend/h1"
)

// Policy is what a tls block demands of who asks for its hosts. One Policy stands for one block, and pointers to it are compared: what a
// client has shown under one block says nothing to the hosts of another, whatever else they have in common.
type Policy struct {
	// Rules returns a number that changes whenever Judge may change its mind. nil: clients are not asked for certificates, and the policy
	// is only that a connection serves the one host it was made for.
	Rules func() uint64
	// Judge says what is wrong with the certificates a client has shown, nil for nothing.
	Judge func(shown []*x509.Certificate) error
	// Lenient lets in clients whose certificates are not good.
	Lenient bool
	// Identity is what servers are told.
	Identity Identity
}

// session is what the TLS handshake of a connection has settled. It is made once, so that requests need not ask again.
type session struct {
	state  tls.ConnectionState
	policy *Policy // nil: nothing is demanded
	rules  uint64  // Policy.Rules, when the client was judged last
	known  []identityLine
}

// Why a request is not for the connection it came on.
var (
	errOtherRules = errors.New("the connection was made for a host with other rules for certificates")
	errOtherHost  = errors.New("the connection was made for another host")
)

// Choose returns the index of the entry whose tls block serves the clients that ask for a name in their TLS hello, "" for none: the
// closest match, and the first where nothing matches.
func Choose(entries []Entry, name string) (best int) {
	most := hostNone
	for i := range entries {
		if m := entries[i].Frontend.hosts.match([]byte(name)); m > most {
			best, most = i, m
		}
	}
	return best
}

// begin notes what a handshake has settled. v is what the connection was accepted under.
func (c *conn) begin(v *ListenConfig) { c.session = v.newSession(c.T.ConnectionState()) }

// newSession makes what a handshake has settled.
func (v *ListenConfig) newSession(state tls.ConnectionState) *session {
	s := &session{state: state}
	s.policy = v.Entries[Choose(v.Entries, s.state.ServerName)].Policy
	if p := s.policy; p != nil && p.Rules != nil {
		s.rules = p.Rules()
		var fault error
		if p.Lenient {
			fault = p.Judge(s.state.PeerCertificates)
		}
		s.known = p.Identity.lines(s.state.PeerCertificates, fault)
	}
	return s
}

// asks reports whether clients are asked for certificates that ask for a name.
func (v *ListenConfig) asks(name string) bool {
	p := v.Entries[Choose(v.Entries, name)].Policy
	return p != nil && p.Rules != nil
}

// refused tells who wants to know why a handshake failed.
func (v *ListenConfig) refused(c *conn, err error) {
	if v.OnRefusal != nil {
		v.OnRefusal(c.peer, err)
	}
}

// admit decides whether a request may come on this connection, "421 (Misdirected Request)" if not (RFC 9110 15.5.20: "a client that
// receives a 421 MAY retry the request over a different connection"), and says who the client is, and nobody else does.
func (c *conn) admit(e *Entry, x *h1.Exchange) error {
	if hidden := e.Frontend.o.Hidden; len(hidden) > 0 {
		hidden.remove(&x.Req)
	}
	s := c.session
	if s == nil || s.policy == nil && e.Policy == nil {
		return nil
	}
	if s.policy != e.Policy {
		return refuse(421, errOtherRules)
	}
	if name := s.state.ServerName; name != "" && len(x.Req.Host) > 0 && !isHost(x.Req.Host, name) {
		return refuse(421, errOtherHost)
	}
	p := s.policy
	if p.Rules == nil {
		return nil
	}
	if rules := p.Rules(); rules != s.rules {
		fault := p.Judge(s.state.PeerCertificates)
		if fault != nil && !p.Lenient {
			x.Req.Close = true // on a new connection the handshake will tell
			if c.h2 != nil {
				c.h2.retire()
			} else if c.h3 != nil {
				c.h3.part()
			}
			return refuse(421, fault)
		}
		s.rules, s.known = rules, p.Identity.lines(s.state.PeerCertificates, fault)
	}
	for i := range s.known {
		x.Req.Header.AddString(s.known[i].name, s.known[i].value)
	}
	return nil
}

// isHost reports whether a request's host is a name in a TLS hello: without its port, without the dot at its end, and in any case.
func isHost(host []byte, name string) bool {
	host = hostOnly(host)
	if n := len(host); n > 0 && host[n-1] == '.' {
		host = host[:n-1]
	}
	return h1.EqualFold(host, name)
}

// addHSTS appends the line of Strict-Transport-Security, if there shall be one.
func (e *exchange) addHSTS(b []byte) []byte {
	if v := e.hsts(); v != "" {
		b = append(append(append(b, "Strict-Transport-Security: "...), v...), "\r\n"...)
	}
	return b
}

// hsts returns the value of Strict-Transport-Security for the answer, "" for none.
func (e *exchange) hsts() string {
	s := e.conn.session
	if s == nil || e.entry == nil {
		return ""
	}
	if e.Note.Bad { // no host is known but that of the handshake
		v := e.conn.room.ln.view.Load()
		return v.Entries[Choose(v.Entries, s.state.ServerName)].HSTS
	}
	return e.entry.HSTS
}
