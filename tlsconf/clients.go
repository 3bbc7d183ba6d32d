package tlsconf

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// clients asks the clients of a tls block for certificates, and keeps the rules fresh by which they are judged.
type clients struct {
	c     *ClientAuth
	log   *zap.Logger
	trust atomic.Pointer[trust]
	plain func(protos []string) *tls.Config // without a word about clients

	// Of the watching goroutine.
	stamp    string
	failed   string    // the last complaint, "" after a good reading
	due      time.Time // when a revocation list goes out of date next; zero: never
	reviewed time.Time

	mu   sync.Mutex          // guards what follows
	kept map[string]*variant // by their protocols
	bad  string              // why what is in the files now is not in use; "" when it is
}

// variant is the configuration for one list of application protocols. crypto/tls asks for it at each handshake, since the authorities a
// client is told about are part of it.
type variant struct {
	protos []string
	front  *tls.Config
	now    atomic.Pointer[tls.Config]
}

// openClients reads the files of a. It fails when they are not usable: without them nobody could be told from anybody.
func openClients(a *ClientAuth, now time.Time, log *zap.Logger, plain func(protos []string) *tls.Config) (*clients, error) {
	c := &clients{c: a, log: log, plain: plain, kept: map[string]*variant{}, reviewed: now}
	c.stamp = stampOf(a.CA, a.CRL)
	t, ca, crl := readTrust(a, now)
	if t == nil {
		return nil, errors.Join(faultOf(ca), faultOf(crl))
	}
	c.warn(append(ca, crl...))
	c.put(t, now)
	return c, nil
}

func faultOf(l faults) error {
	if f := l.refused(); f != nil {
		return f
	}
	return nil
}

// put makes t count from the next handshake on.
func (c *clients) put(t *trust, now time.Time) {
	t.version = 1
	if was := c.trust.Load(); was != nil {
		t.version += was.version
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trust.Store(t)
	c.due, c.bad = t.ends(now), ""
	for _, v := range c.kept {
		c.fill(v, t)
	}
}

func (c *clients) fill(v *variant, t *trust) {
	own := c.plain(v.protos)
	t.ask(own)
	v.now.Store(own)
}

// config returns the configuration for some protocols, the same for the same ones.
func (c *clients) config(protos []string) *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := strings.Join(protos, "\x00")
	v := c.kept[key]
	if v == nil {
		v = &variant{protos: slices.Clone(protos), front: c.plain(protos)}
		v.front.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return v.now.Load(), nil }
		c.fill(v, c.trust.Load())
		c.kept[key] = v
	}
	return v.front
}

// verdict judges what a client has shown by the rules of this moment.
func (c *clients) verdict(shown []*x509.Certificate) error {
	t := c.trust.Load()
	switch {
	case t.mode == RequestClient && t.cas == nil:
		return errUnjudged
	case len(shown) == 0 && t.mode == RequireClient:
		return errNoCertificate
	}
	return t.check(shown, nil, time.Now())
}

// errUnjudged is what a certificate is that nobody was told how to judge.
var errUnjudged = errors.New("no authority is configured")

// watch takes up changed files until ctx ends.
func (c *clients) watch(ctx context.Context, notify func(ctx context.Context, dirs []string, changed func()) error) {
	if c.c.CA == "" {
		return
	}
	watchFiles(ctx, notify, c.log, watched{
		dirs:    func() []string { return dirsOf(c.c.CA, c.c.CRL) },
		changed: func(force bool) { c.reread(force, time.Now()) },
		poll:    func(now time.Time) { c.review(now) },
	})
}

// reread reads changed files. Bad ones leave what counted before: the revocation lists among it refuse by themselves when they go out of
// date.
func (c *clients) reread(force bool, now time.Time) {
	s := stampOf(c.c.CA, c.c.CRL)
	if s == c.stamp && !force {
		return
	}
	c.stamp = s
	t, ca, crl := readTrust(c.c, now)
	if t == nil {
		err := errors.Join(faultOf(ca), faultOf(crl))
		if c.failed != err.Error() {
			c.failed = err.Error()
			f := append(ca, crl...).refused()
			c.log.Error("client_auth: a file is not usable; what was read before it counts on", zap.String("file", f.file), zap.String("problem", f.problem), zap.String("remedy", f.remedy))
		}
		c.mu.Lock()
		c.bad = c.failed
		c.mu.Unlock()
		return
	}
	recovered := c.failed != ""
	c.failed = ""
	if same(t, c.trust.Load()) {
		c.mu.Lock()
		c.bad = ""
		c.mu.Unlock()
		if recovered {
			c.log.Info("client_auth: the files are usable again")
		}
		return
	}
	c.warn(append(ca, crl...))
	c.put(t, now)
	revoked := 0
	for _, r := range t.lists {
		revoked += len(r.revoked)
	}
	c.log.Info("client_auth: files loaded", zap.Int("authorities", len(t.cas)), zap.Int("revocation_lists", len(t.lists)), zap.Int("revoked", revoked))
}

// same reports whether two readings found the same.
func same(a, b *trust) bool {
	return slices.EqualFunc(a.cas, b.cas, (*x509.Certificate).Equal) && slices.EqualFunc(a.lists, b.lists, func(x, y *revocations) bool {
		if !x.issuer.Equal(y.issuer) || !x.until.Equal(y.until) || x.users != y.users || x.cas != y.cas || len(x.revoked) != len(y.revoked) {
			return false
		}
		for serial := range x.revoked {
			if _, ok := y.revoked[serial]; !ok {
				return false
			}
		}
		return true
	})
}

// review complains about a revocation list in the moment it goes out of date, and twice a day from then on. Connections that are open are
// judged anew.
func (c *clients) review(now time.Time) {
	t := c.trust.Load()
	passed := !c.due.IsZero() && now.After(c.due)
	if !passed && now.Sub(c.reviewed) < reviewEvery {
		return
	}
	c.reviewed = now
	for _, r := range t.lists {
		if r.stale(now) {
			c.log.Error("client_auth: "+staleText(r)+": every certificate of that authority is refused", zap.String("file", c.c.CRL),
				zap.String("remedy", "Fetch a newer list and put it in place: it counts at once."))
		}
	}
	for _, a := range t.cas {
		if l := lifeOf(a, now); l != valid {
			c.log.Warn(fmt.Sprintf("client_auth: the certificate of %s: %s", subject(a), l), zap.String("file", c.c.CA), zap.Time("not_after", a.NotAfter))
		}
	}
	if passed {
		next := *t
		c.put(&next, now)
	}
}

func (c *clients) warn(l faults) {
	for _, f := range l {
		log := c.log.Warn
		if strings.Contains(f.problem, "out of date") {
			log = c.log.Error
		}
		log("client_auth: "+f.problem, zap.String("file", f.file), zap.String("remedy", f.remedy))
	}
}

// problem says why what is in the files now is not in use, "" when it is.
func (c *clients) problem() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bad
}

// stampOf tells from outside whether files were changed.
func stampOf(paths ...string) string {
	var b strings.Builder
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			fmt.Fprintf(&b, "%d %d %o;", info.Size(), info.ModTime().UnixNano(), info.Mode())
		} else {
			b.WriteString("-;")
		}
	}
	return b.String()
}

// dirsOf lists the directories files are in by name and, where links lead elsewhere, by content.
func dirsOf(paths ...string) (out []string) {
	for _, p := range paths {
		if p == "" {
			continue
		}
		out = append(out, filepath.Dir(p))
		if real, err := filepath.EvalSymlinks(p); err == nil {
			out = append(out, filepath.Dir(real))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
