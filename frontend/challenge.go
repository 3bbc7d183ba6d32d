package frontend

import (
	"bytes"
	"errors"
	"strconv"

	"gatehouse/backend/h1"
)

// challengePath is what the paths begin with that a CA asks for to see whether a host is ours (HTTP-01, RFC 8555 section 8.3).
const challengePath = "/.well-known/acme-challenge/"

// challengeProtocol is what a TLS connection speaks that a CA makes for the same purpose (TLS-ALPN-01, RFC 8737 section 3).
const challengeProtocol = "acme-tls/1"

// errChallenge ends such a connection: its handshake was all there is to it.
var errChallenge = errors.New("the handshake was a CA's challenge")

// challenge answers a CA that asks in the clear whether a host is ours, whichever frontend serves the host, if any. It reports whether that
// was so; otherwise the request is one like all others, for a server that obtains certificates of its own perhaps. It may park.
func (e *exchange) challenge(v *ListenConfig) bool {
	x := &e.Exchange
	f := v.Entries[0].Frontend
	if f.o.Challenge == nil || x.Req.Secure || !bytes.HasPrefix(x.Req.Target, []byte(challengePath)) || string(x.Req.Method) != "GET" {
		return false
	}
	path, _, _ := bytes.Cut(x.Req.Target, []byte("?"))
	answer, ok := f.o.Challenge(x.Loop, string(hostOnly(x.Req.Host)), string(path))
	if !ok {
		return false
	}
	e.entry = &v.Entries[0]
	f.Stats.Requests.Add(1)
	f.Stats.Active.Add(1)
	x.Note.Frontend = f.c.Name
	r := &x.Resp
	r.Status, r.Length = 200, int64(len(answer))
	r.Reason = append(r.Reason[:0], reason(200)...)
	r.Header.AddString("Content-Type", "text/plain")
	r.Header.AddString("Cache-Control", "no-store")
	r.Header.AddString("Content-Length", strconv.Itoa(len(answer)))
	r.Body = &h1.Static{B: []byte(answer)}
	x.Note.Cause, x.Note.State = 'L', 'R'
	return true
}

// challenged reports whether a TLS connection, after its handshake, was a CA's.
func (c *conn) challenged() bool {
	return c.room.ln.first().o.Challenge != nil && c.T.ConnectionState().NegotiatedProtocol == challengeProtocol
}
