package tlsconf

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// interim are the certificates of the local CA that hosts are served with until they have better ones. One key serves all of them.
type interim struct {
	key   *ecdsa.PrivateKey
	certs map[string]*tls.Certificate
	made  time.Time
}

// acmeBlock is what a tls block with an acme block has besides others.
type acmeBlock struct {
	c      *Certificates
	keeper *Keeper
	own    bool // the keeper is for this block alone
	policy *policy
	stale  chan struct{} // the index shall be made anew

	mu       sync.Mutex // guards what follows, and the making of the index
	interim  *interim
	bridge   []served // from files: good until the CA has issued
	imported []served // likewise, from those that were brought in
}

// startACME makes what an acme block needs: what lies in the storage is served at once, the CAs are asked when Manage says so. Files are
// what was served before there was an acme block.
func (c *Certificates) startACME(files []served, now time.Time) error {
	a := &acmeBlock{c: c, keeper: c.c.Keeper, stale: make(chan struct{}, 1), bridge: files}
	seen := map[string]bool{}
	var hosts []string
	for _, h := range c.c.Hosts {
		name, fault := CertifiedName(h, c.c.ACME.DNS != nil)
		if fault != "" {
			c.log.Warn(fmt.Sprintf("no certificate is obtained for %q: it %s", h, fault))
			continue
		}
		if !seen[name] {
			seen[name] = true
			hosts = append(hosts, name)
		}
	}
	if a.keeper == nil {
		a.keeper, a.own = NewKeeper(KeeperOptions{StateDir: c.c.StateDir, Log: c.log}), true
	}
	var err error
	if a.policy, err = newPolicy(a.keeper, c.c.Name, c.c.ACME, hosts, a.changed); err != nil {
		a.close()
		return err
	}
	c.ca = openOrMakeAuthority(c.c.StateDir, now, c.log)
	a.keeper.load(a.policy)
	a.imported = readImported(a.keeper.o.StateDir, hosts, now, c.log)
	c.acme = a // whose certificates have their staples already
	if err := a.compose(now); err != nil {
		a.close()
		return err
	}
	return nil
}

// close gives up the charge of the hosts that nobody has taken over.
func (a *acmeBlock) close() {
	if a.policy != nil {
		a.keeper.release(a.policy)
	}
	if a.own {
		a.keeper.Close()
	}
}

// changed has the index made anew soon.
func (a *acmeBlock) changed() {
	select {
	case a.stale <- struct{}{}:
	default:
	}
}

// setBridge takes up other files.
func (a *acmeBlock) setBridge(files []served) {
	a.mu.Lock()
	a.bridge = files
	a.mu.Unlock()
	a.changed()
}

// compose makes the index: for each host what a CA has issued, else what the files have for it, else a certificate of the local CA.
func (a *acmeBlock) compose(now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.interim == nil || now.Sub(a.interim.made) >= leafRenew {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		a.interim = &interim{key: key, certs: map[string]*tls.Certificate{}, made: now}
	}
	bridge := slices.Concat(a.bridge, a.needed())
	files := newIndex(bridge, now)
	all := make([]served, 0, len(a.policy.hosts)+len(bridge))
	var lacking []string
	for _, host := range a.policy.hosts {
		if s := a.policy.current(host); s != nil {
			all = append(all, served{s.file, s.Certificate})
			continue
		}
		lacking = append(lacking, host)
		if files.sites[host] != nil || files.lookup(host) != nil {
			continue
		}
		cert := a.interim.certs[host]
		if cert == nil {
			var err error
			if cert, err = a.c.ca.issueFor(a.interim.key, []string{host}, now); err != nil {
				return fmt.Errorf("internal certificate: %w", err)
			}
			a.interim.certs[host] = cert
		}
		all = append(all, served{cert: cert})
	}
	all = append(all, bridge...)
	x := newIndex(all, now)
	if a.policy.lazy && len(lacking) > 0 {
		x.asked = make(map[string]bool, len(lacking))
		for _, host := range lacking {
			x.asked[host] = true
		}
	}
	a.c.put(x, now)
	return nil
}

// needed returns the imported certificates that are good for a host that has no other one yet. It is called with mu held.
func (a *acmeBlock) needed() (list []served) {
	for _, s := range a.imported {
		names := namesOf(s.cert.Leaf)
		if slices.ContainsFunc(a.policy.hosts, func(h string) bool { return covers(names, h) && a.policy.current(h) == nil }) {
			list = append(list, s)
		}
	}
	return list
}

// current returns what a CA has issued for a host, nil for nothing.
func (p *policy) current(host string) *servedCert {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	return p.certs[host]
}

// attend makes the index anew when something has changed, and in time before the interim certificates end, until ctx ends.
func (a *acmeBlock) attend(ctx context.Context) {
	timer := time.NewTimer(leafRenew)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.stale:
		case <-timer.C:
			timer.Reset(leafRenew)
		}
		began := time.Now()
		if err := a.compose(began); err != nil {
			a.c.log.Error("certificates not renewed", zap.Error(err))
		}
		// With thousands of names an index takes ten milliseconds, and at the start each of them is a change of its own.
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(indexRest*time.Since(began), indexRestMax)):
		}
	}
}

// Between two indexes there are so many times as long as the last one took, so that they take no more than a twentieth of a processor.
const (
	indexRest    = 20
	indexRestMax = 2 * time.Second
)

// Manage begins to obtain and renew the certificates of an acme block, in the place of the configuration before, if there was one. CAs find
// this machine at r. It may be called again when the addresses have changed. Exports are written
// from the first call on.
func (c *Certificates) Manage(r Reach) {
	if c.exports != nil {
		c.led.Do(c.exports.begin)
	}
	if c.acme == nil {
		return
	}
	c.acme.keeper.take(c.acme.policy, r)
	c.acme.changed() // what was renewed since New
}

// first returns what the first client of a host waits for, nil if it does not come in time or is there already.
func (a *acmeBlock) first(x *index, hello *tls.ClientHelloInfo) *tls.Certificate {
	if !x.asked[strings.ToLower(hello.ServerName)] {
		return nil
	}
	return a.keeper.first(a.policy, hello)
}
