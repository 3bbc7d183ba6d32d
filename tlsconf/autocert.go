package tlsconf

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	firstsMost   = 4   // names that first handshakes have a certificate asked for at a time
	firstsWait   = 256 // handshakes that wait for one at a time
	firstsStrike = 3   // failures in a row after which a name rests
)

// visit is what the first handshakes of a name have set in motion. Its fields are the Keeper's to guard, but for those of tokens.
type visit struct {
	running  bool
	done     chan struct{} // closed when it runs no more
	failures int           // in a row
	rest     time.Time     // before which nothing is asked
	tokens   *tokens       // nil while nothing runs
}

// first returns the certificate for the first client of a host, nil if it is not there in time: then the client is served another one. It
// waits, for a moment and in a goroutine of its own.
func (k *Keeper) first(p *policy, hello *tls.ClientHelloInfo) *tls.Certificate {
	host := strings.ToLower(hello.ServerName)
	now := time.Now()
	k.mu.Lock()
	x := k.charges[host]
	if x == nil || x.policy != p || k.closed {
		k.mu.Unlock()
		return nil
	}
	if c := p.certs[host]; c != nil { // since the index was made
		k.mu.Unlock()
		return c.Certificate
	}
	f := k.firsts[host]
	if f == nil {
		f = &visit{}
		k.firsts[host] = f
	}
	if !f.running {
		running := 0
		for _, o := range k.firsts {
			if o.running {
				running++
			}
		}
		if now.Before(f.rest) || running >= firstsMost || !p.reachable() {
			k.mu.Unlock()
			return nil
		}
		f.running, f.done = true, make(chan struct{})
		f.tokens = &tokens{answers: map[string]string{}}
		k.work.Go(func() { k.ask(p, x, f) })
	}
	if k.waiting >= firstsWait {
		k.mu.Unlock()
		return nil
	}
	k.waiting++
	done := f.done
	k.mu.Unlock()
	k.o.Block(hello.Conn, func() {
		t := time.NewTimer(k.pace.wait)
		defer t.Stop()
		select {
		case <-done:
		case <-t.C:
		}
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting--
	if c := p.certs[host]; c != nil {
		return c.Certificate
	}
	return nil
}

// ask asks the CA for the certificate of a host, once. What it issues lies in the storage as if it had been obtained at the start, and is
// renewed likewise: autocert's own timer finds there what certmagic has renewed and goes back to sleep.
func (k *Keeper) ask(p *policy, x *charge, f *visit) {
	directory := p.c.directories()[0]
	k.log.Info("first handshake for "+x.host+": a certificate is asked for", zap.String("ca", caName(directory)))
	if p.c.Profile != "" {
		k.askProfile(p, x, f)
		return
	}
	w := &witness{k: k, host: x.host, next: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: p.roots}, TLSHandshakeTimeout: 30 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
	}}
	defer w.next.CloseIdleConnections()
	m := &autocert.Manager{
		Prompt:      autocert.AcceptTOS,
		Cache:       &firstStore{autocertStore{k.storage, path.Join("autocert", p.issuers[0])}, p, x.host, f.tokens},
		HostPolicy:  autocert.HostWhitelist(x.host),
		Client:      &acme.Client{DirectoryURL: directory, HTTPClient: &http.Client{Transport: w, Timeout: time.Minute}, UserAgent: "gatehouse", RetryBackoff: retrySoon},
		Email:       p.c.Email,
		RenewBefore: time.Second,
	}
	if e := p.c.eabFor(directory); e != nil {
		key, _ := e.key() // checked before
		m.ExternalAccountBinding = &acme.ExternalAccountBinding{KID: e.KeyID, Key: key}
	}
	if p.http {
		m.HTTPHandler(nil) // lets it use HTTP-01; the answers are found in tokens
	}
	err := k.patiently(m, &tls.ClientHelloInfo{
		ServerName: x.host, SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves: []tls.CurveID{tls.CurveP256}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305},
	})
	var stored stored
	if err == nil {
		if stored, err = loadStored(k.ctx, k.storage, p.issuers, x.host); err != nil {
			err = fmt.Errorf("%w: what was issued could not be kept: %w", errStorage, err)
		}
	} else if r := w.refusal(); r != nil {
		err = r
	}
	k.asked(p, x, f, stored, err)
}

// askProfile asks as at the start: autocert cannot name a profile. What first handshakes are bounded by bounds this too.
func (k *Keeper) askProfile(p *policy, x *charge, f *visit) {
	var s stored
	err := k.heal(k.ctx, p, x.host)
	if err == nil {
		attempts := 0 // of which each is the first: the CA's staging directory has nothing to say about a host that has just moved here
		err = p.magic.Load().ObtainCertSync(context.WithValue(k.ctx, certmagic.AttemptsCtxKey, &attempts), x.host)
	}
	if err == nil {
		if s, err = loadStored(k.ctx, k.storage, p.issuers, x.host); err != nil {
			err = fmt.Errorf("%w: what was issued could not be kept: %w", errStorage, err)
		}
	}
	k.asked(p, x, f, s, err)
}

// patiently asks for a certificate and waits for it, but no longer than until the Keeper ends: the library cannot be told to, and may
// sleep for minutes where a CA says so. What is left of it then asks nothing any more.
func (k *Keeper) patiently(m *autocert.Manager, hello *tls.ClientHelloInfo) error {
	done := make(chan error, 1)
	go func() {
		_, err := m.GetCertificate(hello)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-k.ctx.Done():
		return k.ctx.Err()
	}
}

// retrySoon is how long to wait before a CA that is busy is asked again within one attempt. What takes it longer is a failure, after which the
// next attempt comes in its time.
func retrySoon(n int, _ *http.Request, a *http.Response) time.Duration {
	if n > 3 {
		return -1
	}
	after, err := strconv.Atoi(a.Header.Get("Retry-After"))
	switch {
	case a.Header.Get("Retry-After") == "":
		return time.Duration(n) * time.Second
	case err != nil || after > 5:
		return -1
	}
	return max(time.Duration(after)*time.Second, 100*time.Millisecond)
}

// asked notes what became of asking.
func (k *Keeper) asked(p *policy, x *charge, f *visit, s stored, err error) {
	cut := k.ctx.Err() != nil
	var fail *Failure
	if err != nil && !cut {
		fail = k.explain(p, x.host, err)
	} else if err == nil {
		k.serve(x.host, &servedCert{Certificate: s.cert, issuer: s.issuer, file: k.file(s.issuer, x.host)})
	}
	now := time.Now()
	k.mu.Lock()
	f.running, f.tokens = false, nil
	if err == nil {
		f.failures, f.rest = 0, time.Time{}
		x.failures, x.last, x.success, x.want, x.due = 0, nil, now, adopt, now
		x.counts.Obtained++
	} else if fail != nil {
		f.failures++
		f.rest = now.Add(k.pace.breath)
		if f.failures >= firstsStrike {
			f.rest = now.Add(k.pace.cool)
			fail.Why += fmt.Sprintf(". That was failure %d: nothing is asked for %s", f.failures, roughly(k.pace.cool))
		}
		if fail.Next.After(f.rest) {
			f.rest = fail.Next // so the CA wants it
		}
		fail.Next = f.rest
		k.failed(x, fail, now)
	}
	close(f.done)
	k.mu.Unlock()
	if fail != nil {
		k.tell(x.host, fail)
	} else if err == nil {
		k.tellObtained(x.host, p)
	}
	k.wake()
}

// tokens are the answers to challenges under way.
type tokens struct {
	mu      sync.Mutex
	answers map[string]string // HTTP-01: by token
	cert    *tls.Certificate  // TLS-ALPN-01
}

// tokensOf returns the answers for a host, nil when nothing is under way.
func (k *Keeper) tokensOf(host string) *tokens {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.firsts[host]; f != nil {
		return f.tokens
	}
	return nil
}

// token returns the answer to a challenge by HTTP-01 that a first handshake has led to.
func (k *Keeper) token(host, token string) (string, bool) {
	t := k.tokensOf(host)
	if t == nil {
		return "", false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.answers[token]
	return a, ok
}

// tokenCert returns the answer by TLS-ALPN-01.
func (k *Keeper) tokenCert(host string) *tls.Certificate {
	t := k.tokensOf(host)
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cert
}

// storedToken is token for what another instance has begun.
func (k *Keeper) storedToken(host, token string) (string, bool) {
	k.mu.Lock()
	x := k.charges[host]
	k.mu.Unlock()
	if x == nil || !x.policy.lazy {
		return "", false
	}
	ctx, cancel := context.WithTimeout(k.ctx, challengeTime)
	defer cancel()
	b, err := autocertStore{k.storage, path.Join("autocert", x.policy.issuers[0])}.Get(ctx, token+"+http-01")
	return string(b), err == nil
}

// firstStore is the autocert.Cache of one host: accounts and tokens lie below autocert/ in the storage, the certificate where certmagic has it.
type firstStore struct {
	autocertStore
	p      *policy
	host   string
	tokens *tokens
}

// Get is autocert.Cache's.
func (s *firstStore) Get(ctx context.Context, key string) ([]byte, error) {
	if key != s.host {
		return s.autocertStore.Get(ctx, key)
	}
	c, err := loadStored(ctx, s.store, s.p.issuers, s.host)
	if err != nil {
		return nil, autocert.ErrCacheMiss
	}
	return pairPEM(c.cert)
}

// Put is autocert.Cache's.
func (s *firstStore) Put(ctx context.Context, key string, data []byte) error {
	if token, ok := strings.CutSuffix(key, "+http-01"); ok {
		s.tokens.mu.Lock()
		s.tokens.answers[token] = string(data)
		s.tokens.mu.Unlock()
	} else if key == s.host+"+token" {
		c, err := tls.X509KeyPair(data, data)
		if err != nil {
			return err
		}
		s.tokens.mu.Lock()
		s.tokens.cert = &c
		s.tokens.mu.Unlock()
	} else if key == s.host {
		var key, chain bytes.Buffer
		for b, rest := pem.Decode(data); b != nil; b, rest = pem.Decode(rest) {
			to := &chain
			if strings.Contains(b.Type, "PRIVATE") {
				to = &key
			}
			if err := pem.Encode(to, b); err != nil {
				return err
			}
		}
		return saveIssued(ctx, s.store, s.p.issuers[0], s.host, chain.Bytes(), key.Bytes())
	}
	return s.autocertStore.Put(ctx, key, data)
}

// Delete is autocert.Cache's.
func (s *firstStore) Delete(ctx context.Context, key string) error {
	if key == s.host {
		return nil
	}
	return s.autocertStore.Delete(ctx, key)
}

// refusal is what a CA has said against a name.
type refusal struct{ problem }

func (r *refusal) Error() string { return r.detail }

// witness carries what is said to a CA and remembers what it has against the name: autocert only says that no way was left.
type witness struct {
	k    *Keeper
	host string
	next *http.Transport

	mu  sync.Mutex
	bad *refusal
}

// refusal returns the last thing the CA has said against the name, nil for nothing.
func (w *witness) refusal() *refusal {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bad
}

// maxWord bounds what is read of a CA's answer to see whether it is a complaint.
const maxWord = 64 << 10

// RoundTrip is http.RoundTripper's.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.k.ctx.Err() != nil {
		return nil, errors.New("the process is stopping")
	}
	ctx, cancel := context.WithCancel(r.Context())
	forget := context.AfterFunc(w.k.ctx, cancel)
	over := func() { forget(); cancel() }
	a, err := w.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		over()
		return nil, err
	}
	w.k.heard.postpone(r.URL.Host, a.StatusCode, a.Header, time.Now())
	a.Body = &both{a.Body, &ending{a.Body, over}}
	if !strings.Contains(a.Header.Get("Content-Type"), "json") {
		return a, err
	}
	text, err := io.ReadAll(io.LimitReader(a.Body, maxWord))
	if err != nil {
		a.Body.Close()
		return nil, err
	}
	a.Body = &both{io.MultiReader(bytes.NewReader(text), a.Body), a.Body}
	type complaint struct {
		Type   string `json:"type"`
		Detail string `json:"detail"`
	}
	var said struct {
		complaint
		Challenges []struct {
			Type  string     `json:"type"`
			Error *complaint `json:"error"`
		} `json:"challenges"`
	}
	if json.Unmarshal(text, &said) != nil {
		return a, nil
	}
	const namespace = "urn:ietf:params:acme:error:"
	hear := func(c complaint, challenge string) {
		if kind, ok := strings.CutPrefix(c.Type, namespace); ok && kind != "badNonce" {
			w.mu.Lock()
			w.bad = &refusal{problem{kind: kind, detail: c.Detail, challenge: challenge}}
			w.mu.Unlock()
		}
	}
	hear(said.complaint, "")
	for _, c := range said.Challenges {
		if c.Error != nil {
			hear(*c.Error, c.Type)
		}
	}
	return a, nil
}

// ending closes a body, and then what belongs to its request.
type ending struct {
	io.Closer
	over func()
}

// Close is io.Closer's.
func (e *ending) Close() error {
	defer e.over()
	return e.Closer.Close()
}

// both reads from one and closes the other.
type both struct {
	io.Reader
	io.Closer
}
