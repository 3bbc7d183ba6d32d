package frontend

import (
	"fmt"
	"strconv"

	"gatehouse/backend/loop"
)

// Prepare opens what c needs beyond what is open: the UDP side of the address. TakeOver, or Open, puts it to use, Withdraw gives it up.
func (n *Listener) Prepare(c *ListenConfig) error {
	if c.HTTP3 == nil || n.quic.Load() != nil || n.ready != nil {
		return nil
	}
	var err error
	if n.ready, err = n.openQUIC(c); err != nil {
		return fmt.Errorf("udp, for http3: %w", err)
	}
	return nil
}

// Withdraw gives up what Prepare has opened.
func (n *Listener) Withdraw() {
	if n.ready != nil {
		n.ready.Close()
		n.ready = nil
	}
	if n.loan != nil {
		n.loan.Close()
		n.loan = nil
	}
}

// serveHTTP3 serves what is prepared, or ends what is not wanted any more.
func (n *Listener) serveHTTP3(c *ListenConfig) {
	switch s := n.quic.Load(); {
	case c.HTTP3 == nil && s != nil:
		n.quic.Store(nil)
		s.shutdown()
		n.former = append(n.former, s)
	case c.HTTP3 != nil && s == nil && n.ready != nil && !c.Packets.Wait:
		sock := n.ready
		n.ready = nil
		if n.loan != nil {
			n.loan.Yield()
			n.loan.Close()
			n.loan = nil
		}
		if err := n.startQUIC(sock, c.Secret); err != nil && c.OnError != nil {
			c.OnError(err)
		}
	}
}

// maxAge is how long a client may remember that there is HTTP/3, in seconds: a day, as others say.
const maxAge = 86400

// withdrawn is the value of Alt-Svc where there is none any more.
const withdrawn = "clear"

// announceHTTP3 makes the value of Alt-Svc (RFC 7838 3), by which clients of other versions learn of HTTP/3. was is the value before, "" for none:
// where HTTP/3 was switched off those who remember it are told so, "all alternatives for that origin … invalidated", until this process ends.
func (c *ListenConfig) announceHTTP3(a loop.Addr, was string) {
	switch {
	case c.HTTP3 != nil:
		c.altSvc = `h3=":` + strconv.Itoa(int(a.Port())) + `"; ma=` + strconv.Itoa(maxAge)
	case was != "" && c.TLS != nil:
		c.altSvc = withdrawn
	}
}

// maxStreams is how many requests a client may have under way at once on one connection.
func (f *Frontend) maxStreams() int { return f.streams }

// quicBounds returns what connections of HTTP/3 are told.
func (f *Frontend) quicBounds() quicBounds {
	const perField = 32 // "plus an overhead of 32 bytes for each field" (RFC 9114 4.2.2)
	// Twice our own limits: a request that is a little beyond them gets our page, and a line in the log.
	b := quicBounds{head: 2 * (f.limits.Head + f.limits.Target + perField*f.limits.Fields), idle: max(f.t.Idle, 0)}
	if f.limits.Head <= 0 {
		b.head = 0 // quic-go's own, 1 MiB
	}
	return b
}
