package tlsconf

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Failure is an attempt to obtain a certificate that has failed.
type Failure struct {
	Time      time.Time // when it was over
	Times     int       // how many have failed in a row, this one included
	CA        string    // the name of the CA, "" where it was never asked
	Challenge string    // by which the CA tried to see that the name is ours: "HTTP-01", "TLS-ALPN-01" or "DNS-01"; "" where it did not come to that
	Problem   string    // what the CA has said, word for word, else what went wrong
	Why       string    // what that means, a sentence
	Refused   bool      // the CA has said no, which counts against its limits
	Next      time.Time // when it is tried again; zero: with the next handshake
	Serving   string    // what clients get meanwhile
}

// Managed is how it stands with a name whose certificate is obtained by ACME.
type Managed struct {
	Name      string
	State     string // "valid", "expires soon", "expired", "not yet valid", "obtaining", "renewing", "failed", "unreachable" or "waiting for the first handshake"
	CA        string // the CA that has issued what is served, else the one that is asked first
	Challenge string // the ways by which the CA can see that the name is ours, as in "HTTP-01, TLS-ALPN-01"
	File      string // of the certificate; "" while there is none
	NotBefore time.Time
	NotAfter  time.Time // both zero while there is none
	Obtained  time.Time // the last success of this process; zero: none
	Next      time.Time // when something is done for it next: obtaining, or renewing, unless the CA gives another time by then; zero: nothing is planned
	Last      *Failure  // of the last attempt; nil: there was none, or it went well
	Successes uint64    // of this process
	Failures  uint64
}

// Managed returns how it stands with the names of the block, sorted; nil when it has no acme block.
func (c *Certificates) Managed() []Managed {
	if c.acme == nil {
		return nil
	}
	return c.acme.keeper.status(c.acme.policy, time.Now())
}

// Renew has a certificate issued for one of the names of the block now, whatever the plan is.
func (c *Certificates) Renew(name string) error {
	if c.acme == nil || !slices.Contains(c.acme.policy.hosts, name) {
		return fmt.Errorf("tls %q: no certificate for %s is obtained by ACME", c.c.Name, name)
	}
	return c.acme.keeper.Renew(name)
}

func (k *Keeper) status(p *policy, now time.Time) []Managed {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []Managed
	for _, host := range slices.Sorted(slices.Values(p.hosts)) {
		m := Managed{Name: host, CA: caName(p.c.directories()[0]), Challenge: p.challenges()}
		x := k.charges[host]
		if x == nil || x.policy != p { // not in charge yet, or not any more
			x = &charge{cert: p.certs[host]}
		}
		m.Successes, m.Failures, m.Obtained, m.Last = x.counts.Obtained, x.counts.Failed, x.success, x.last
		if c := x.cert; c != nil {
			m.File, m.NotBefore, m.NotAfter = c.file, c.Leaf.NotBefore, c.Leaf.NotAfter
			if i := slices.Index(p.issuers, c.issuer); i >= 0 {
				m.CA = caName(p.c.directories()[i])
			}
			m.State = string(lifeOf(c.Leaf, now))
			m.Next = k.due(c)
			if x.held.After(m.Next) {
				m.Next = x.held
			}
		}
		first := k.firsts[host]
		switch {
		case x.busy && (x.want == renew || x.want == retry):
			m.State = "renewing"
		case x.busy && x.want == obtain && x.cert == nil, first != nil && first.running:
			m.State = "obtaining"
		case x.last != nil && x.cert == nil:
			m.State = "failed"
		case x.cert == nil && !p.reachable():
			m.State = "unreachable"
		case x.cert == nil && p.lazy:
			m.State = "waiting for the first handshake"
		case x.cert == nil:
			m.State = "obtaining"
		}
		if x.last != nil {
			m.Next = x.last.Next
		} else if x.want == obtain || x.want == renew || x.want == retry {
			m.Next = x.due
		}
		out = append(out, m)
	}
	return out
}

// challenges names the ways by which CAs see that hosts are ours.
func (p *policy) challenges() string {
	if p.byDNS() {
		return "DNS-01"
	}
	var ways []string
	if p.http {
		ways = append(ways, "HTTP-01")
	}
	if p.tls {
		ways = append(ways, "TLS-ALPN-01")
	}
	return strings.Join(ways, ", ")
}

// caNames are the CAs known by name, by the end of the host of their directories.
var caNames = map[string]string{
	"letsencrypt.org": "Let's Encrypt", "zerossl.com": "ZeroSSL", "pki.goog": "Google Trust Services", "ssl.com": "SSL.com",
	"buypass.com": "Buypass", "sectigo.com": "Sectigo", "digicert.com": "DigiCert", "actalis.com": "Actalis",
}

// caName names the CA of a directory for a person.
func caName(directory string) string {
	u, err := url.Parse(directory)
	if err != nil || u.Host == "" {
		return directory
	}
	for end, name := range caNames {
		if u.Hostname() == end || strings.HasSuffix(u.Hostname(), "."+end) {
			if strings.Contains(u.Hostname(), "staging") {
				name += " (staging)"
			}
			return name
		}
	}
	return u.Host
}

// words says what clients get.
func (c *servedCert) words(now time.Time) string {
	switch {
	case c == nil:
		return "the internal certificate"
	case now.After(c.Leaf.NotAfter):
		return "a certificate that has expired on " + c.Leaf.NotAfter.Format(time.DateTime)
	}
	return "a certificate that is good until " + c.Leaf.NotAfter.Format(time.DateTime)
}

// tell writes a failure to the log, in words, if that is news. It is an error when clients are refused already, or soon.
func (k *Keeper) tell(host string, f *Failure) {
	k.mu.Lock()
	x := k.charges[host]
	grave := x != nil && (x.cert == nil || lifeOf(x.cert.Leaf, f.Time) != valid)
	others := len(k.charges) > 1
	k.mu.Unlock()
	if !k.told.news(host, f, grave, f.Time) {
		return
	}
	next := "with the next handshake"
	if !f.Next.IsZero() {
		next = "in " + roughly(f.Next.Sub(f.Time))
	}
	log := k.log.Warn
	if grave {
		log = k.log.Error
	}
	where := host
	if !f.Refused && others {
		where += ", and others for which it is the same"
	}
	log(fmt.Sprintf("no certificate obtained for %s: %s. Serving %s; next try %s", where, strings.TrimSuffix(f.Why, "."), f.Serving, next),
		zap.String("ca", f.CA), zap.String("problem", f.Problem), zap.Int("failures", f.Times))
}

// roughly says how long d is, as people do.
func roughly(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", max(1, int(d.Round(time.Second).Seconds())))
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Round(time.Hour).Hours()))
}

// tellObtained writes a success to the log.
func (k *Keeper) tellObtained(host string, p *policy) {
	k.mu.Lock()
	c := p.certs[host]
	k.mu.Unlock()
	if c == nil {
		return
	}
	ca := c.issuer
	if i := slices.Index(p.issuers, c.issuer); i >= 0 {
		ca = caName(p.c.directories()[i])
	}
	k.told.over(host)
	k.log.Info("certificate obtained for "+host, zap.String("ca", ca), zap.Time("not_after", c.Leaf.NotAfter))
}
