package tlsconf

import (
	"crypto/x509"
	"fmt"
	"time"
)

// A clock that is wrong by months makes each new certificate look old the moment it is issued, and due to be renewed again: in a few hours the limits of
// a CA would be used up. So such a certificate is served, but nobody looks after its renewal for a while.
const (
	clockHold  = 6 * time.Hour
	issueSlack = time.Minute // that issuing may take, whatever the lifetime
)

// agedWhenNew reports whether a certificate that was issued just now has the greater part of its lifetime behind it, by our clock.
func agedWhenNew(c *x509.Certificate, now time.Time) bool {
	return now.Sub(c.NotBefore) > max(c.NotAfter.Sub(c.NotBefore)/2, issueSlack)
}

// compareClocks looks whether our clock agrees with that of the CA, whose certificate for the host of x has just come. It is called with mu held,
// and returns what is to be logged.
func (k *Keeper) compareClocks(x *charge, now time.Time) (complaint string) {
	x.held = time.Time{}
	if x.cert == nil || !agedWhenNew(x.cert.Leaf, k.pace.clock(now)) {
		return ""
	}
	x.held = now.Add(clockHold)
	return fmt.Sprintf("the clock of this machine is wrong, or the CA's is: the certificate for %s that was issued just now is good from %s to %s, but here it is %s. It is served, but not renewed again for %s",
		x.host, x.cert.Leaf.NotBefore.UTC().Format(time.DateTime), x.cert.Leaf.NotAfter.UTC().Format(time.DateTime), k.pace.clock(now).UTC().Format(time.DateTime), roughly(clockHold))
}

// hold keeps certificates from being renewed while clocks disagree, and has those looked after again whose time is over.
func (k *Keeper) hold(now time.Time) {
	var held, hashes []string
	k.mu.Lock()
	for host, x := range k.charges {
		switch {
		case x.held.IsZero() || x.busy:
		case now.Before(x.held):
			held = append(held, host)
		default:
			x.held, x.want, x.due = time.Time{}, adopt, now
		}
	}
	k.mu.Unlock()
	for _, host := range held {
		for _, c := range k.cached(host) {
			hashes = append(hashes, c.Hash())
		}
	}
	if len(hashes) > 0 {
		k.cache.Remove(hashes)
	}
}
