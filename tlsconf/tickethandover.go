package tlsconf

import (
	"encoding/binary"
	"errors"
	"time"
)

// Export returns the keys for another process, which can go on with them: whoever has a ticket resumes there. They are secret, and open what
// clients were told under them; they are good for hosts with the same rules for clients alone.
func (t *Tickets) Export() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := binary.BigEndian.AppendUint64(nil, uint64(t.due.Unix()))
	for _, key := range t.keys {
		b = append(b, key[:]...)
	}
	return b
}

var errTickets = errors.New("not the keys of session tickets")

// ImportTickets returns tickets with the keys that Export has returned elsewhere. They turn when they would have turned there.
func ImportTickets(b []byte) (*Tickets, error) {
	const head = 8
	n := (len(b) - head) / len([32]byte{})
	if len(b) < head || n < 1 || n > ticketKeys || len(b) != head+n*len([32]byte{}) {
		return nil, errTickets
	}
	t := new(Tickets)
	now := time.Now()
	t.due = time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	if t.due.Before(now.Add(-ticketTurn)) || t.due.After(now.Add(ticketTurn)) {
		t.due = now // another clock than ours: the next key is due
	}
	for b = b[head:]; len(b) > 0; b = b[len([32]byte{}):] {
		t.keys = append(t.keys, [32]byte(b))
	}
	t.rekey()
	t.turn(now)
	return t, nil
}
