package tlsconf

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ocsp"
)

const (
	stapleTime     = 10 * time.Second // for one answer
	stapleSize     = 64 << 10         // of one
	stapleMost     = 4                // questions at a time
	stapleRetry    = 5 * time.Minute  // after a failure, doubled with each
	stapleRetryMax = 6 * time.Hour
	stapleAgain    = time.Hour // with a CA that does not say when it has news
	stapleLeast    = time.Minute
)

// stapler asks CAs what they say of the certificates that were read from files, and has that sent along with them (RFC 6066 section 8), so that
// clients need not ask themselves. Many CAs have given up on that, and where there is nobody to ask, or nobody answers, nothing is wrong.
type stapler struct {
	c     *Certificates
	http  *http.Client
	stale chan struct{} // other certificates are served

	mu sync.Mutex
	by map[string]*stapled // by identity
}

// stapled is what is known of a certificate. Its fields are the stapler's to guard.
type stapled struct {
	der      []byte    // nil: nothing yet
	until    time.Time // after which it is nothing any more
	due      time.Time // when to ask
	failures int       // in a row
	revoked  bool      // as the log has been told
}

func newStapler(c *Certificates) *stapler {
	return &stapler{c: c, stale: make(chan struct{}, 1), by: map[string]*stapled{},
		http: &http.Client{Timeout: stapleTime, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}}
}

// changed has the certificates looked at soon.
func (s *stapler) changed() {
	select {
	case s.stale <- struct{}{}:
	default:
	}
}

// concerns reports whether the stapler is to ask about a certificate. Those that were obtained by ACME have their staple from certmagic.
func (s *stapler) concerns(v served) bool {
	return v.file != "" && (s.c.acme == nil || !s.c.acme.keeper.stores(v.file))
}

// on returns x with all that is good at now stapled to its certificates, x itself where that is so already.
func (s *stapler) on(x *index, now time.Time) *index {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []served
	for i, v := range x.all {
		if !s.concerns(v) {
			continue
		}
		var der []byte
		if k := s.by[identity(v.cert.Leaf)]; k != nil && now.Before(k.until) {
			der = k.der
		}
		if bytes.Equal(der, v.cert.OCSPStaple) {
			continue
		}
		if all == nil {
			all = append(all, x.all...)
		}
		c := *v.cert
		c.OCSPStaple = der
		all[i].cert = &c
	}
	if all == nil {
		return x
	}
	with := newIndex(all, now)
	with.asked = x.asked
	return with
}

// run asks until ctx ends.
func (s *stapler) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.stale:
		case <-timer.C:
		}
		next := s.round(ctx, time.Now())
		if next.IsZero() {
			timer.Stop()
			continue
		}
		timer.Reset(time.Until(next))
	}
}

// round asks what is due, and returns when something is next; zero for never.
func (s *stapler) round(ctx context.Context, now time.Time) (next time.Time) {
	var work sync.WaitGroup
	room := make(chan struct{}, stapleMost)
	here := map[string]bool{}
	for _, v := range s.c.index.Load().all {
		leaf := v.cert.Leaf
		if !s.concerns(v) || len(leaf.OCSPServer) == 0 || len(v.cert.Certificate) < 2 || now.After(leaf.NotAfter) {
			continue
		}
		id := identity(leaf)
		here[id] = true
		s.mu.Lock()
		k := s.by[id]
		if k == nil {
			k = &stapled{}
			s.by[id] = k
		}
		due := !k.due.After(now)
		s.mu.Unlock()
		if due {
			room <- struct{}{}
			work.Go(func() {
				defer func() { <-room }()
				s.refresh(ctx, v.cert, k)
			})
		}
	}
	work.Wait()
	s.mu.Lock()
	for id, k := range s.by {
		if !here[id] {
			delete(s.by, id)
			continue
		}
		for _, t := range []time.Time{k.due, k.until} {
			if t.After(now) && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
	}
	s.mu.Unlock()
	if ctx.Err() == nil {
		s.c.restaple(time.Now())
	}
	return next
}

// refresh asks about one certificate.
func (s *stapler) refresh(ctx context.Context, c *tls.Certificate, k *stapled) {
	der, r, err := s.ask(ctx, c)
	now := time.Now()
	log := s.c.log.With(zap.String("certificate", subject(c.Leaf)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		wait := min(stapleRetry<<min(k.failures, 10), stapleRetryMax)
		k.failures++
		k.due = now.Add(wait)
		log.Debug("no word of the CA to staple", zap.Error(err), zap.Duration("next_try", wait))
		return
	}
	k.failures, k.due = 0, now.Add(stapleAgain)
	k.der, k.until = der, now.Add(2*stapleAgain)
	if !r.NextUpdate.IsZero() {
		k.until = r.NextUpdate
		k.due = r.ThisUpdate.Add(r.NextUpdate.Sub(r.ThisUpdate) / 2)
		if k.due.Before(now.Add(stapleLeast)) {
			k.due = now.Add(stapleLeast)
		}
	}
	if r.Status != ocsp.Good {
		k.der = nil // clients need not learn it from us; those who care ask
		if r.Status == ocsp.Revoked && !k.revoked {
			log.Error("the CA has revoked the certificate: clients may refuse it. Have another one issued", zap.Time("revoked", r.RevokedAt))
		}
	}
	k.revoked = r.Status == ocsp.Revoked
}

// ask asks the CA about a certificate.
func (s *stapler) ask(ctx context.Context, c *tls.Certificate) ([]byte, *ocsp.Response, error) {
	issuer, err := x509.ParseCertificate(c.Certificate[1])
	if err != nil {
		return nil, nil, err
	}
	question, err := ocsp.CreateRequest(c.Leaf, issuer, nil)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Leaf.OCSPServer[0], bytes.NewReader(question))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s: %s", c.Leaf.OCSPServer[0], resp.Status)
	}
	der, err := io.ReadAll(io.LimitReader(resp.Body, stapleSize+1))
	if err != nil {
		return nil, nil, err
	}
	if len(der) > stapleSize {
		return nil, nil, errors.New("the answer is too large")
	}
	r, err := ocsp.ParseResponseForCert(der, c.Leaf, issuer)
	if err != nil {
		return nil, nil, err
	}
	switch now := time.Now(); {
	case r.ThisUpdate.After(now.Add(maxSkew)):
		return nil, nil, errors.New("the answer is of the future")
	case !r.NextUpdate.IsZero() && !r.NextUpdate.After(now):
		return nil, nil, errors.New("the answer is of the past")
	}
	return der, r, nil
}
