package tlsconf

import (
	"encoding/json"
	"time"

	"github.com/caddyserver/certmagic"
)

// A CA may say when it wants a certificate renewed (RFC 9773): a window, of which each client chooses a moment of its own. It is earlier than usual when
// the CA has to revoke many, and later when all of them would come at once. certmagic asks for it and stores it, but takes it for a latest time only.

// patience is the last part of a lifetime, in which a certificate is renewed whatever its CA says.
const patience = 1.0 / 6

// usual is the last part of a lifetime in which a certificate is renewed whose CA says nothing.
const usual = certmagic.DefaultRenewalWindowRatio

// planIn returns the moment in the metadata of a stored certificate at which its CA wants it renewed, zero if it has not said so. ok is false where
// they are no JSON.
func planIn(meta []byte) (plan time.Time, ok bool) {
	var m struct {
		Issuer struct {
			ARI struct {
				Selected time.Time `json:"_selectedTime"`
			} `json:"renewal_info"`
		} `json:"issuer_data"`
	}
	if json.Unmarshal(meta, &m) != nil {
		return time.Time{}, json.Valid(meta) // of somebody else's shape
	}
	return m.Issuer.ARI.Selected, true
}

// part returns the moment at which that part of a certificate's lifetime is left.
func (c *servedCert) part(left float64) time.Time {
	l := c.Leaf
	return l.NotAfter.Add(-time.Duration(float64(l.NotAfter.Sub(l.NotBefore)) * left))
}

// planned reports whether the CA says when to renew, and that is not dangerously late.
func (c *servedCert) planned() bool { return !c.plan.IsZero() && c.plan.Before(c.part(patience)) }

// due returns when a certificate is to be renewed.
func (k *Keeper) due(c *servedCert) time.Time {
	window := k.pace.window
	if window == 0 {
		window = usual
	}
	own := c.part(window)
	if k.pace.window == 0 && c.planned() || !c.plan.IsZero() && c.plan.Before(own) {
		return c.plan
	}
	return own
}

// notePlan takes up what a CA has said since about the certificate of a host.
func (k *Keeper) notePlan(host string) {
	k.mu.Lock()
	x := k.charges[host]
	if x == nil || x.cert == nil || x.busy {
		k.mu.Unlock()
		return
	}
	c, seen := x.cert, x.noted
	k.mu.Unlock()
	at := certmagic.StorageKeys.SiteMeta(c.issuer, host)
	i, err := k.storage.Stat(k.ctx, at)
	if err != nil || i.Modified.Equal(seen) {
		return
	}
	meta, err := k.storage.Load(k.ctx, at)
	if err != nil {
		return // next time
	}
	plan, _ := planIn(meta)
	k.mu.Lock()
	defer k.mu.Unlock()
	if x.noted = i.Modified; x.cert == c {
		c.plan = plan
	}
}
