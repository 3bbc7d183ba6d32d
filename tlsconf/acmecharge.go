package tlsconf

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// charge is a name that the Keeper is in charge of. Its fields are the Keeper's to guard.
type charge struct {
	host     string
	policy   *policy
	cert     *servedCert // nil: none yet
	want     want
	due      time.Time // when to do what is wanted
	stop     context.CancelFunc
	busy     bool
	again    bool // another one is wanted when that is over
	failures int  // in a row
	counts   counts
	last     *Failure // nil after a success
	success  time.Time
	told     life      // of the certificate, as the log has been told
	stored   time.Time // when the stored certificate was written, as it was seen last
	noted    time.Time // when its metadata were written, as they were seen last
	held     time.Time // until when nobody renews it, zero for no such time
}

// want is what is to be done for a name.
type want uint8

const (
	nothing want = iota // certmagic's cache looks after its renewal, or the first handshake is waited for
	adopt               // there is a certificate in the storage: have the cache look after it
	obtain              // have one issued
	renew               // have another one issued though there is one
	retry               // likewise, if that is still due: certmagic has tried it and failed
)

// counts are how often something happened to a name.
type counts struct{ Obtained, Failed uint64 }

// attempt does what is wanted for a host, once, and reports whether another certificate was issued. It takes as long as it takes.
func (k *Keeper) attempt(ctx context.Context, p *policy, host string, w want, failures int) (issued bool, err error) {
	if w == adopt {
		err := k.adopt(ctx, p, host)
		switch {
		case err == nil || ctx.Err() != nil || !p.reachable():
			return false, err
		case p.lazy:
			return false, nil // the next handshake finds none and asks for one
		}
	}
	// certmagic turns to Let's Encrypt's staging CA while an attempt follows a failed one, and to the real one when that has issued.
	ctx = context.WithValue(ctx, certmagic.AttemptsCtxKey, &failures)
	had := p.current(host)
	if err = k.request(ctx, p, host, w); forgotten(err) {
		err = k.request(ctx, p, host, w)
	}
	if err != nil {
		return false, err
	}
	err = k.adopt(ctx, p, host)
	has := p.current(host)
	return w != retry || has != nil && (had == nil || !has.Leaf.Equal(had.Leaf)), err
}

// request has certmagic ask the CAs once.
func (k *Keeper) request(ctx context.Context, p *policy, host string, w want) error {
	cfg := p.magic.Load()
	if w == renew || w == retry {
		if c := p.current(host); c != nil { // of an account that is not ours any more
			if err := k.disown(ctx, p, c.issuer, host); err != nil {
				k.log.Debug("the renewal of "+host+" may be refused", zap.Error(err))
			}
		}
		return cfg.RenewCertSync(ctx, host, w == renew)
	}
	if err := k.heal(ctx, p, host); err != nil {
		return err
	}
	return cfg.ObtainCertSync(ctx, host)
}

// forgotten reports whether a CA did not know the account any more. certmagic opens another one then, but comes with the old one a second time all the
// same, and ends without a certificate and without a reason.
func forgotten(err error) bool {
	return err != nil && strings.HasSuffix(err.Error(), "no certificate chains")
}

// adopt takes the certificate of a host from the storage: it is served from now on, and the cache looks after its renewal and its OCSP
// staple.
func (k *Keeper) adopt(ctx context.Context, p *policy, host string) error {
	at := k.storedAt(p, host) // before it is read, so that takeOver sees whatever comes later
	have, err := loadStored(ctx, k.storage, p.issuers, host)
	if err != nil {
		return err
	}
	if err := k.disown(ctx, p, have.issuer, host); err != nil {
		k.log.Warn("the next renewal of "+host+" may be refused once", zap.Error(err))
	}
	c, err := p.magic.Load().CacheManagedCertificate(ctx, host)
	if err != nil {
		return err
	}
	var old []string
	for _, o := range k.cached(host) {
		if o.Hash() != c.Hash() {
			old = append(old, o.Hash())
		}
	}
	k.cache.Remove(old)
	s := k.served(have.issuer, host, c)
	s.plan = have.plan
	k.serve(host, s)
	k.mu.Lock()
	if x := k.charges[host]; x != nil {
		x.stored = at
	}
	k.mu.Unlock()
	return nil
}

// heal sets aside what is stored for a host and damaged.
func (k *Keeper) heal(ctx context.Context, p *policy, host string) error {
	_, err := loadStored(ctx, k.storage, p.issuers, host)
	if !errors.Is(err, errDamaged) {
		return nil
	}
	if err := k.storage.Lock(ctx, issueLock(host)); err != nil {
		return err
	}
	defer k.storage.Unlock(context.WithoutCancel(ctx), issueLock(host))
	k.log.Warn("the stored certificate for "+host+" is damaged: it is set aside and another one is issued", zap.Error(err))
	return setAside(ctx, k.storage, p.issuers, host)
}

// done notes how an attempt has ended. cut: it was not allowed to.
func (k *Keeper) done(x *charge, p *policy, issued bool, err error, cut bool) {
	var f *Failure
	if err != nil && !cut {
		f = k.explain(p, x.host, err)
	}
	now := time.Now()
	complaint := ""
	k.mu.Lock()
	k.busy--
	x.busy = false
	switch {
	case cut || x.policy != p && !x.policy.same(p): // it has been told already what to do next
	case err == nil:
		x.failures, x.last, x.want = 0, nil, nothing
		k.tendNext = now // it may be due
		if k.tendRest.After(now) {
			k.tendNext = k.tendRest
		}
		if issued {
			x.counts.Obtained++
			x.success = now
			complaint = k.compareClocks(x, now)
		} else if x.again {
			k.wantAnother(x)
			x.due = now
		}
		x.again = false
	default:
		k.failed(x, f, now)
		x.due = f.Next
		if x.want == adopt {
			x.want = obtain
		}
		x.again = false
	}
	k.mu.Unlock()
	if f != nil {
		k.tell(x.host, f)
	} else if err == nil && issued {
		k.tellObtained(x.host, p)
	}
	if complaint != "" {
		k.log.Error(complaint)
	}
	k.wake()
}

// failed notes a failure, and when to try again.
func (k *Keeper) failed(x *charge, f *Failure, now time.Time) {
	x.failures++
	x.counts.Failed++
	x.last = f
	f.Time, f.Times = now, x.failures
	if f.Next.Before(now) {
		f.Next = now.Add(k.pace.retry(x.failures, f.Refused))
	}
	f.Serving = x.cert.words(now)
}

// serve has a certificate served for a host from now on.
func (k *Keeper) serve(host string, c *servedCert) {
	k.mu.Lock()
	x := k.charges[host]
	if x == nil {
		k.mu.Unlock()
		return
	}
	if was := x.cert; was != nil && was.Leaf.Equal(c.Leaf) && c.plan.IsZero() {
		c.plan = was.plan
	} else {
		x.noted = time.Time{}
	}
	x.cert, x.told = c, valid
	p := x.policy
	p.certs[host] = c
	if every := k.pace.tend(c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)); k.tendEvery == 0 || every < k.tendEvery {
		k.tendEvery = every
		k.cache.SetOptions(k.cacheOptions(every))
	}
	k.mu.Unlock()
	p.changed()
}
