package tlsconf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// KeeperOptions are what a Keeper stands on.
type KeeperOptions struct {
	// StateDir holds accounts and certificates. It is made when something is to be stored.
	StateDir string
	// Log is told what becomes of certificates. nil: nobody is.
	Log *zap.Logger
	// Block runs f, which may take long, for a TLS handshake on conn, and returns when it is done; others go on meanwhile. nil: f is
	// just called.
	Block func(conn net.Conn, f func())
}

// Keeper obtains certificates from certificate authorities (RFC 8555) and renews them, for the whole process: whichever configuration
// serves, what it does goes on. Each name is on its own: one that fails holds up no other. All methods may be called at once.
type Keeper struct {
	o       KeeperOptions
	log     *zap.Logger
	chatter *zap.Logger // for the libraries, which say more than anybody wants to know
	heard   *heard
	told    told
	storage *certmagic.FileStorage
	cache   *certmagic.Cache
	pace    pace

	ctx    context.Context // ends with the Keeper
	cancel context.CancelFunc
	work   sync.WaitGroup
	awake  chan struct{} // somebody has something to do

	mu        sync.Mutex // guards what follows; never held while the cache or the storage is asked
	charges   map[string]*charge
	firsts    map[string]*visit // by host: what first handshakes have asked for
	waiting   int               // handshakes
	busy      int               // charges being worked at
	tending   bool              // renewals are being looked for
	tendNext  time.Time         // when they are next
	tendEvery time.Duration
	tendRest  time.Time // before which they are not looked for again, whatever happens
	closed    bool
}

// pace is how patient a Keeper is. Tests are not.
type pace struct {
	tend    func(shortest time.Duration) time.Duration // how often to look for renewals, given the shortest lifetime
	retry   func(failures int, refused bool) time.Duration
	wait    time.Duration             // for a certificate, in the first handshake
	breath  time.Duration             // between the attempts of first handshakes
	cool    time.Duration             // after three of them have failed
	explain time.Duration             // for finding out why an attempt has failed
	window  float64                   // the part of a lifetime, at its end, in which it is renewed; 0: a third
	clock   func(time.Time) time.Time // what time it is where the CA compares clocks with us: now, but for tests
}

// most is how many names are worked at at a time. Their CA bounds it further: certmagic begins ten orders in ten seconds.
const most = 16

// NewKeeper starts a Keeper that is in charge of nothing yet.
func NewKeeper(o KeeperOptions) *Keeper {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Block == nil {
		o.Block = func(_ net.Conn, f func()) { f() }
	}
	k := &Keeper{o: o, log: o.Log, storage: &certmagic.FileStorage{Path: o.StateDir}, awake: make(chan struct{}, 1), charges: map[string]*charge{}, firsts: map[string]*visit{},
		pace: pace{tend: tendPace, retry: retryPace, wait: 5 * time.Second, breath: time.Minute, cool: time.Hour, explain: 5 * time.Second, clock: func(now time.Time) time.Time { return now }}}
	k.chatter = o.Log.WithOptions(zap.WrapCore(k.listen))
	k.ctx, k.cancel = context.WithCancel(context.Background())
	// The cache looks for renewals by itself so rarely that it never does: the Keeper has it look, as often as its certificates need.
	k.cache = certmagic.NewCache(k.cacheOptions(1000 * time.Hour))
	k.work.Go(k.run)
	return k
}

// cacheOptions are those of certmagic's cache. How often renewals are looked for is part of the decision whether one is due.
func (k *Keeper) cacheOptions(every time.Duration) certmagic.CacheOptions {
	return certmagic.CacheOptions{GetConfigForCert: k.configFor, RenewCheckInterval: every, Logger: k.chatter}
}

// configFor returns the configuration to renew a certificate with.
func (k *Keeper) configFor(c certmagic.Certificate) (*certmagic.Config, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, name := range c.Names {
		if x := k.charges[name]; x != nil {
			if x.want == retry {
				return nil, fmt.Errorf("the renewal for %s has failed and is tried again in its time", name)
			}
			cfg := x.policy.magic.Load()
			if x.cert != nil && x.cert.planned() && k.pace.window == 0 {
				cfg = x.policy.patient.Load()
			}
			if cfg != nil {
				return cfg, nil
			}
		}
	}
	return nil, fmt.Errorf("nobody is in charge of %v any more", c.Names)
}

// take puts a policy in charge of its hosts, in the place of whichever was. CAs find this machine at r.
func (k *Keeper) take(p *policy, r Reach) {
	now := time.Now()
	k.mu.Lock()
	moved := p.setReach(r)
	for _, host := range p.hosts {
		x := k.charges[host]
		if x == nil {
			x = &charge{host: host}
			k.charges[host] = x
		}
		was := x.policy
		x.policy = p
		if have := p.certs[host]; x.cert == nil || have != nil && x.cert.newer(have) {
			x.cert = have
		} else {
			p.certs[host] = x.cert
		}
		if was != nil && was.same(p) && !(was == p && moved) {
			continue
		}
		if was == p && x.want == nothing {
			continue
		}
		// What failed before may succeed now.
		x.failures, x.last, x.due, x.want = 0, nil, now, obtain
		switch {
		case x.cert != nil && slices.Contains(p.issuers, x.cert.issuer):
			x.want = adopt
		case p.lazy:
			x.want = nothing
		}
		if x.busy {
			x.stop()
		}
	}
	k.mu.Unlock()
	if !p.reachable() {
		httpPort, tlsPort := p.c.ports()
		k.log.Warn(fmt.Sprintf("no certificate can be obtained for tls %q: no plain bind is on port %d and none with tls on port %d, where a CA could see that the hosts are ours",
			p.name, httpPort, tlsPort), zap.Strings("hosts", p.hosts))
	}
	k.wake()
}

// release ends the charge of a policy where nobody has taken it over.
func (k *Keeper) release(p *policy) {
	var gone []certmagic.SubjectIssuer
	k.mu.Lock()
	for _, host := range p.hosts {
		if x := k.charges[host]; x != nil && x.policy == p {
			if x.busy {
				x.stop()
			}
			delete(k.charges, host)
			gone = append(gone, certmagic.SubjectIssuer{Subject: host})
		}
	}
	closed := k.closed
	k.mu.Unlock()
	if !closed {
		k.cache.RemoveManaged(gone)
	}
}

// wake makes run look for what is to be done.
func (k *Keeper) wake() {
	select {
	case k.awake <- struct{}{}:
	default:
	}
}

// run does what is due until the Keeper is closed.
func (k *Keeper) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-k.awake:
		case <-timer.C:
		}
		timer.Reset(time.Until(k.dispatch(time.Now())))
	}
}

// dispatch starts what is due and returns when the next thing is.
func (k *Keeper) dispatch(now time.Time) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := now.Add(time.Hour)
	for _, x := range k.charges {
		if k.busy >= most {
			break // whoever is ready next wakes us; with thousands of names, most looks end here
		}
		if x.want == nothing || x.busy || x.want != adopt && !x.policy.reachable() {
			continue
		}
		if x.due.After(now) {
			if x.due.Before(next) {
				next = x.due
			}
			continue
		}
		k.busy++
		x.busy = true
		ctx, stop := context.WithCancel(k.ctx)
		x.stop = stop
		p, w, failures := x.policy, x.want, x.failures
		if x.last != nil && !x.last.Refused {
			failures = 0 // a retry elsewhere is for what a CA has refused
		}
		k.work.Go(func() {
			defer stop()
			issued, err := k.attempt(ctx, p, x.host, w, failures)
			k.done(x, p, issued, err, ctx.Err() != nil)
		})
	}
	if !k.tending && len(k.charges) > 0 {
		if !k.tendNext.After(now) {
			k.tending = true
			k.work.Go(k.tend)
		} else if k.tendNext.Before(next) {
			next = k.tendNext
		}
	}
	return next
}

// Renew has another certificate issued for a name now, though the one there is may be good for long; or the first one, without waiting
// for the next attempt's time. What becomes of it, Managed tells.
func (k *Keeper) Renew(name string) error {
	k.mu.Lock()
	x := k.charges[name]
	if x == nil {
		k.mu.Unlock()
		return fmt.Errorf("no certificate for %s is obtained by ACME", name)
	}
	x.due = time.Now()
	if x.busy && x.want == adopt {
		x.again = true
	} else if !x.busy {
		k.wantAnother(x)
	}
	k.mu.Unlock()
	k.wake()
	return nil
}

// wantAnother has a certificate issued whatever there is.
func (k *Keeper) wantAnother(x *charge) {
	x.want = obtain
	if x.cert != nil && slices.Contains(x.policy.issuers, x.cert.issuer) {
		x.want = renew
	}
}

// load returns what is served for the hosts of a new policy until it is in charge: what is served now, or lies in the storage.
func (k *Keeper) load(p *policy) {
	p.certs = make(map[string]*servedCert, len(p.hosts))
	for _, host := range p.hosts {
		k.mu.Lock()
		x := k.charges[host]
		if x != nil && x.cert != nil && slices.Contains(p.issuers, x.cert.issuer) {
			p.certs[host] = x.cert
		}
		k.mu.Unlock()
		if p.certs[host] != nil {
			continue
		}
		switch c, err := loadStored(k.ctx, k.storage, p.issuers, host); {
		case err == nil:
			p.certs[host] = k.fromStorage(c, host)
		case !errors.Is(err, fs.ErrNotExist):
			k.log.Error("the stored certificate for "+host+" cannot be used; other hosts are not affected"+ownership(k.o.StateDir, err), zap.Error(err))
		}
	}
}

// Close ends all work and waits for it. What was served goes on being served.
func (k *Keeper) Close() {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return
	}
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.work.Wait()
	k.cache.Stop()
}
