package tlsconf

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"strings"
	"sync"
	"time"
)

const (
	ticketTurn = 12 * time.Hour // how long a key seals new tickets
	ticketKeys = 3              // the sealing key and the old ones that still open: a ticket lives 24 to 36 hours
)

// ticketName marks our entry among a session's extra data.
const ticketName = "gatehouse sni\x00"

// Tickets seals and opens session tickets (RFC 5077, RFC 8446 4.6.1). It belongs to no single tls.Config, so a reload hands it to the next
// generation and clients resume there. All methods may be called at once.
//
// A ticket is good for the host it was given for only: crypto/tls does not look at the name when a session is resumed, so a
// client could enter with the ticket of one host where the other host's rules would have refused it.
type Tickets struct {
	seal tls.Config // nothing but its keys is in use

	mu   sync.Mutex
	keys [][32]byte // the first seals
	due  time.Time  // when the next key is
}

// NewTickets returns tickets with a fresh key.
func NewTickets() *Tickets {
	t := new(Tickets)
	t.turn(time.Now())
	return t
}

// turn adds a new key and forgets the oldest if that is due. It returns when the next turn is. Two generations may both
// ask: the second finds nothing to do.
func (t *Tickets) turn(now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.due) {
		return t.due
	}
	var key [32]byte
	rand.Read(key[:])
	t.keys = append([][32]byte{key}, t.keys[:min(len(t.keys), ticketKeys-1)]...)
	t.seal.SetSessionTicketKeys(t.keys)
	t.due = now.Add(ticketTurn)
	return t.due
}

// keep turns the keys until ctx ends.
func (t *Tickets) keep(ctx context.Context) {
	timer := time.NewTimer(time.Until(t.turn(time.Now())))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(time.Until(t.turn(time.Now())))
		}
	}
}

// serve makes a configuration use the tickets.
func (t *Tickets) serve(c *tls.Config) {
	c.WrapSession = t.wrap
	c.UnwrapSession = t.unwrap
}

func (t *Tickets) wrap(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
	ss.Extra = append(ss.Extra, []byte(ticketName+cs.ServerName))
	return t.seal.EncryptTicket(cs, ss)
}

// unwrap returns no session, which means a full handshake, for tickets that are old, foreign or another host's.
func (t *Tickets) unwrap(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
	ss, err := t.seal.DecryptTicket(ticket, cs)
	if ss == nil || err != nil {
		return nil, err
	}
	for _, extra := range ss.Extra {
		if host, ok := strings.CutPrefix(string(extra), ticketName); ok && strings.EqualFold(host, cs.ServerName) {
			return ss, nil
		}
	}
	return nil, nil
}
