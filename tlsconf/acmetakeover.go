package tlsconf

import (
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// ripe is how long a stored certificate has to have lain there: whoever stores one writes its metadata a moment later.
const ripe = time.Second

// takeOver has adopted what another instance with the same storage has obtained for a host: also where that was not due yet, as when somebody has
// had it renewed by hand because the key is not a secret any more.
func (k *Keeper) takeOver(host string, now time.Time) {
	k.mu.Lock()
	x := k.charges[host]
	if x == nil || x.busy {
		k.mu.Unlock()
		return
	}
	p, was, seen := x.policy, x.cert, x.stored
	k.mu.Unlock()
	last := k.storedAt(p, host)
	if age := now.Sub(last); last.IsZero() || last.Equal(seen) || age >= 0 && age < ripe {
		return
	}
	have, err := loadStored(k.ctx, k.storage, p.issuers, host)
	k.mu.Lock()
	defer k.mu.Unlock()
	if x.busy || x.policy != p || x.cert != was {
		return // next time
	}
	if x.stored = last; err == nil && (was == nil || have.cert.Leaf.NotBefore.After(was.Leaf.NotBefore)) {
		x.want, x.due = adopt, now
		k.log.Info("the certificate for "+host+" that another instance has obtained is taken from the storage", zap.Time("not_after", have.cert.Leaf.NotAfter))
	}
}

// storedAt returns when the newest certificate for a host was written to the storage, zero if there is none.
func (k *Keeper) storedAt(p *policy, host string) (last time.Time) {
	for _, issuer := range p.issuers {
		if i, err := k.storage.Stat(k.ctx, certmagic.StorageKeys.SiteCert(issuer, host)); err == nil && i.Modified.After(last) {
			last = i.Modified
		}
	}
	return last
}
