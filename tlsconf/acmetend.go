package tlsconf

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// servedCert is a certificate that a CA has issued.
type servedCert struct {
	*tls.Certificate
	issuer string // as the storage names it
	file   string
	plan   time.Time // when the CA wants it renewed, zero if it has not said so; guarded by Keeper.mu once it is served
}

// newer reports whether o was issued after c.
func (c *servedCert) newer(o *servedCert) bool { return o.Leaf.NotBefore.After(c.Leaf.NotBefore) }

// fromStorage makes a servedCert of one that is stored for host.
func (k *Keeper) fromStorage(c stored, host string) *servedCert {
	return &servedCert{Certificate: c.cert, issuer: c.issuer, file: k.file(c.issuer, host), plan: c.plan}
}

// served makes a servedCert of one in certmagic's cache, which a CA has issued for host.
func (k *Keeper) served(issuer, host string, c certmagic.Certificate) *servedCert {
	return &servedCert{Certificate: &c.Certificate, issuer: issuer, file: k.file(issuer, host)}
}

// issuerOf returns the CA that has issued what is stored for host.
func (k *Keeper) issuerOf(p *policy, host string) string {
	if o, err := loadStored(k.ctx, k.storage, p.issuers, host); err == nil {
		return o.issuer
	}
	return p.issuers[0]
}

// stores reports whether a file is one of those that file names.
func (k *Keeper) stores(file string) bool {
	return strings.HasPrefix(file, k.storage.Filename("certificates")+string(filepath.Separator))
}

// file returns where the certificate that a CA has issued for a host is stored.
func (k *Keeper) file(issuer, host string) string {
	return k.storage.Filename(certmagic.StorageKeys.SiteCert(issuer, host))
}

// tendPace is how often renewals are looked for: sixty times in the shortest lifetime there is, but never more often than four times
// a second, and six times an hour for what lives longer than a few hours.
func tendPace(shortest time.Duration) time.Duration {
	return min(max(shortest/60, 250*time.Millisecond), 10*time.Minute)
}

// retryPace is how long to wait after so many failures in a row. Let's Encrypt allows five refused attempts an hour for a name and an
// account, and staging, where retries go, has no such limit; a CA that is not there counts nothing.
func retryPace(failures int, refused bool) time.Duration {
	steps := []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}
	if refused {
		steps = []time.Duration{time.Minute, 5 * time.Minute, 12 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour}
	}
	d := steps[min(failures, len(steps))-1]
	return d + rand.N(d/10) // those that failed together need not try together
}

// tend renews what is due, takes over what others have renewed in the same storage, and complains about what comes to its end.
func (k *Keeper) tend() {
	k.hold(time.Now())
	if err := k.cache.RenewManagedCertificates(k.ctx); err != nil {
		k.log.Error("certificates not renewed", zap.Error(err))
	}
	now := time.Now()
	k.mu.Lock()
	hosts := make([]string, 0, len(k.charges))
	for host, x := range k.charges {
		if !x.busy {
			hosts = append(hosts, host)
		}
	}
	k.mu.Unlock()
	for _, host := range hosts {
		k.takeOver(host, now)
		k.refresh(host, now)
		k.notePlan(host)
	}
	k.mu.Lock()
	k.tending = false
	every := k.tendEvery
	if every == 0 {
		every = tendPace(time.Hour * 24)
	}
	done := time.Now()
	k.tendNext = done.Add(every)
	k.tendRest = done.Add(min(indexRest*done.Sub(now), every)) // at the start, each of thousands of names calls for it
	k.mu.Unlock()
	k.wake()
}

// cached returns the certificates for exactly that host in certmagic's cache.
func (k *Keeper) cached(host string) (list []certmagic.Certificate) {
	for _, c := range k.cache.AllMatchingCertificates(host) {
		if len(c.Names) > 0 && c.Names[0] == host {
			list = append(list, c)
		}
	}
	return list
}

// refresh serves what the cache has for a host if that is newer than what is served, or has another OCSP staple.
func (k *Keeper) refresh(host string, now time.Time) {
	var best *certmagic.Certificate
	for _, c := range k.cached(host) {
		if best == nil || c.Leaf.NotBefore.After(best.Leaf.NotBefore) {
			best = &c
		}
	}
	k.mu.Lock()
	x := k.charges[host]
	if x == nil || x.cert == nil {
		k.mu.Unlock()
		return
	}
	p, was := x.policy, x.cert
	l := lifeOf(was.Leaf, now)
	tell := l != x.told && l != valid
	x.told = l
	k.mu.Unlock()
	switch {
	case best != nil && best.Leaf.NotBefore.After(was.Leaf.NotBefore),
		best != nil && best.Leaf.Equal(was.Leaf) && !bytes.Equal(best.OCSPStaple, was.OCSPStaple):
		k.serve(host, k.served(k.issuerOf(p, host), host, *best))
	case tell && l == notYetValid:
		k.log.Warn(fmt.Sprintf("the certificate for %s is not valid before %s: is the clock of this machine right?", host, was.Leaf.NotBefore.Format(time.DateTime)))
	case tell:
		k.log.Warn(fmt.Sprintf("the certificate for %s %s, on %s, and no other one has been obtained", host, l, was.Leaf.NotAfter.Format(time.DateTime)))
	}
}

// event is what certmagic tells while it works: here, what becomes of renewals, which it does by itself.
func (k *Keeper) event(ctx context.Context, event string, data map[string]any) error {
	host, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	if !renewal || event != "cert_obtained" && event != "cert_failed" {
		return nil
	}
	k.mu.Lock()
	x := k.charges[host]
	if x == nil || x.busy { // ours: done notes it
		k.mu.Unlock()
		return nil
	}
	p := x.policy
	k.mu.Unlock()
	now := time.Now()
	if event == "cert_failed" {
		err, _ := data["error"].(error)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if forgotten(err) {
			k.mu.Lock()
			x.want, x.due = retry, now
			k.mu.Unlock()
			k.wake()
			return nil
		}
		f := k.explain(p, host, err)
		k.mu.Lock()
		k.failed(x, f, now)
		if !x.busy {
			// From here on it is the Keeper's: certmagic tries it again in its own time, whatever the CA has asked for.
			x.want, x.due = retry, f.Next
		}
		k.mu.Unlock()
		k.tell(host, f)
		k.wake()
		return nil
	}
	// The cache takes it up in a moment. No need to wait for that, with the new one at hand.
	c, err := loadStored(ctx, k.storage, p.issuers, host)
	if err != nil {
		return nil // and told to whoever has stored it
	}
	k.serve(host, k.fromStorage(c, host))
	k.mu.Lock()
	x.failures, x.last, x.success = 0, nil, now
	x.counts.Obtained++
	complaint := k.compareClocks(x, now)
	k.mu.Unlock()
	k.tellObtained(host, p)
	if complaint != "" {
		k.log.Error(complaint)
	}
	return nil
}
