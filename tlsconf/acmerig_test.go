package tlsconf

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/tlsconf/acmetest"
)

// domain returns a domain of its own: certmagic knows challenges, and renewals that have failed, by name for the whole process, and tests
// share one.
func domain() string { return fmt.Sprintf("d%d.test", domains.Add(1)) }

var domains atomic.Int64

// acmeRig is a machine with a plain and a TLS address, and a CA that finds them.
type acmeRig struct {
	*testing.T
	ca    *acmetest.CA
	dir   string // the state directory
	http  net.Listener
	tls   net.Listener
	certs atomic.Pointer[Certificates] // what is served
	keep  atomic.Pointer[Keeper]
	logs  *observer.ObservedLogs
	log   *zap.Logger
	asked atomic.Int64 // challenges by HTTP-01
}

// newACMERig starts the machine; nothing is served yet.
func newACMERig(t *testing.T, o acmetest.Options) *acmeRig {
	t.Helper()
	r := &acmeRig{T: t, dir: t.TempDir()}
	r.open()
	o.HTTPPort, o.TLSPort = port(r.http), port(r.tls)
	r.ca = acmetest.New(t, o)
	return r
}

// beside is another machine with the same state directory, known to the same CA by nobody.
func (r *acmeRig) beside() *acmeRig {
	o := &acmeRig{T: r.T, dir: r.dir, ca: r.ca}
	o.open()
	return o
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func (r *acmeRig) open() {
	core, logs := observer.New(zapcore.InfoLevel)
	r.logs, r.log = logs, zap.New(core)
	var err error
	if r.http, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		r.Fatal(err)
	}
	if r.tls, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		r.Fatal(err)
	}
	plain := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		host, _, _ := net.SplitHostPort(q.Host)
		if k := r.keep.Load(); k != nil && strings.HasPrefix(q.URL.Path, ChallengePath) {
			if a, ok := k.Challenge(host, q.URL.Path, true); ok {
				r.asked.Add(1)
				w.Write([]byte(a))
				return
			}
		}
		http.NotFound(w, q)
	})}
	var work sync.WaitGroup
	work.Go(func() { plain.Serve(r.http) })
	work.Go(func() {
		for {
			c, err := r.tls.Accept()
			if err != nil {
				return
			}
			work.Go(func() { r.greet(c) })
		}
	})
	r.Cleanup(func() {
		plain.Close()
		r.tls.Close()
		work.Wait()
	})
}

// greet shakes hands, says a word and ends.
func (r *acmeRig) greet(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	certs, k := r.certs.Load(), r.keep.Load()
	if certs == nil {
		return
	}
	config := certs.Config().Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if IsChallenge(hello) {
			return k.ChallengeConfig(), nil
		}
		return nil, nil
	}
	s := tls.Server(c, config)
	if s.Handshake() == nil && s.ConnectionState().NegotiatedProtocol != ChallengeProtocol {
		s.Write([]byte("x"))
		s.CloseWrite()
	}
}

// impatient is the pace of tests.
func impatient(k *Keeper) {
	k.pace.retry = func(failures int, _ bool) time.Duration { return time.Duration(failures) * 100 * time.Millisecond }
	k.pace.breath, k.pace.cool, k.pace.wait, k.pace.explain = 0, time.Hour, 5*time.Second, 50*time.Millisecond
}

// early renews a certificate of a minute after a few seconds, which is what tests have time for.
func early(k *Keeper) { k.pace.window = 0.97 }

// keeper starts a Keeper on the machine's state directory.
func (r *acmeRig) keeper(changes ...func(*Keeper)) *Keeper {
	r.Helper()
	k := NewKeeper(KeeperOptions{StateDir: r.dir, Log: r.log})
	impatient(k)
	for _, f := range changes {
		f(k)
	}
	r.keep.Store(k)
	r.Cleanup(k.Close)
	return k
}

// block is the tls block of the machine.
func (r *acmeRig) block(hosts ...string) *Config {
	return &Config{Name: "auto", Hosts: hosts, StateDir: r.dir, Watch: still, ACME: &ACME{
		Directory: r.ca.Directory, TrustedRoots: r.ca.RootsFile, HTTPPort: port(r.http), TLSPort: port(r.tls), Profile: "default",
	}}
}

// reach are the machine's addresses.
func (r *acmeRig) reach() Reach {
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return Reach{HTTP: []netip.AddrPort{netip.AddrPortFrom(local, uint16(port(r.http)))}, TLS: []netip.AddrPort{netip.AddrPortFrom(local, uint16(port(r.tls)))}}
}

// serve serves a block, with the Keeper that is there or a new one.
func (r *acmeRig) serve(c *Config) *Certificates {
	r.Helper()
	if c.Keeper = r.keep.Load(); c.Keeper == nil {
		c.Keeper = r.keeper()
	}
	certs, err := New(context.Background(), c, r.log)
	if err != nil {
		r.Fatal(err)
	}
	if old := r.certs.Swap(certs); old != nil {
		certs.Manage(r.reach())
		old.Close()
	} else {
		certs.Manage(r.reach())
	}
	r.Cleanup(certs.Close)
	return certs
}

// shake connects to the TLS address as a client that asks for host, and returns what it has seen.
func (r *acmeRig) shake(host string) (*tls.ConnectionState, error) {
	config := r.ca.Client(host)
	config.InsecureSkipVerify = true
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", r.tls.Addr().String(), config)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	s := c.ConnectionState()
	_, err = c.Read(make([]byte, 1))
	return &s, err
}

// trusted reports whether a client that believes in the CA is content with what host is served with.
func (r *acmeRig) trusted(host string) bool {
	s, err := r.shake(host)
	if err != nil {
		return false
	}
	return r.good(s, host)
}

func (r *acmeRig) good(s *tls.ConnectionState, host string) bool {
	o := verifyOptions(r.ca, host)
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err == nil
}

// await waits until something is so.
func (r *acmeRig) await(what string, is func() bool) {
	r.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-limit.C:
			for _, e := range r.logs.All() {
				r.Log(e.Message, e.ContextMap())
			}
			r.Fatalf("%s: not so", what)
		case <-tick.C:
		}
	}
}

// of returns how it stands with a name.
func (r *acmeRig) of(name string) Managed {
	r.Helper()
	for _, m := range r.certs.Load().Managed() {
		if m.Name == name {
			return m
		}
	}
	r.Fatalf("%s is not managed", name)
	return Managed{}
}

// logged returns the first line of the log that holds all the words.
func (r *acmeRig) logged(words ...string) (observer.LoggedEntry, bool) {
next:
	for _, e := range r.logs.All() {
		for _, w := range words {
			if !strings.Contains(e.Message, w) {
				continue next
			}
		}
		return e, true
	}
	return observer.LoggedEntry{}, false
}
