// Package acmetest is a certificate authority for tests: Pebble, the ACME server Let's Encrypt tests clients with, and a name server
// that says every name is this machine, both in the test's own process and on ports the kernel chose.
//
//	ca := acmetest.New(t, acmetest.Options{HTTPPort: 8080})
//	... a tls block with directory = ca.Directory and trusted_roots = ca.RootsFile ...
package acmetest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"go.uber.org/goleak"
)

// Options say what kind of CA it is.
type Options struct {
	// HTTPPort and TLSPort are where the CA looks for the answers to its challenges. 0: nowhere, a port nobody listens on.
	HTTPPort, TLSPort int
	// Address is the IPv4 address of this machine at which the CA looks. "": 127.0.0.1.
	Address string
	// Profiles are certificate profiles and the seconds their certificates live. nil: one of 90 days, "default".
	Profiles map[string]uint64
	// EAB are the external accounts, key id to MAC key in base64url; with any, an account needs one.
	EAB map[string]string
	// Blocked are names it refuses.
	Blocked []string
	// NonceReject is the share of good nonces that are refused, in per cent.
	NonceReject int
	// Log gets what the CA says. nil: nobody does.
	Log io.Writer
}

// CA is a certificate authority at work. It ends with the test.
type CA struct {
	Directory string // the URL of its ACME directory
	RootsFile string // PEM file: whom to trust when speaking to the directory
	DNS       *DNS

	server *httptest.Server
	ca     atomic.Pointer[ca.CAImpl]
	pebble atomic.Pointer[http.Handler]
	fresh  func()
	front  atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	orders atomic.Int64
	down   atomic.Bool
}

// Where Pebble takes orders, and opens accounts.
const (
	orderPath   = "/order-plz"
	accountPath = "/sign-me-up"
)

// environment is what Pebble reads while it is being made.
var environment sync.Mutex

// New starts a CA.
func New(t testing.TB, o Options) *CA {
	t.Helper()
	c := &CA{DNS: NewDNS(t, o.Address)}
	to := o.Log
	if to == nil {
		to = io.Discard
	}
	logger := log.New(to, "pebble ", 0)
	profiles := map[string]ca.Profile{}
	for name, seconds := range o.Profiles {
		profiles[name] = ca.Profile{Description: name, ValidityPeriod: seconds}
	}
	if len(profiles) == 0 {
		profiles["default"] = ca.Profile{Description: "default", ValidityPeriod: 90 * 24 * 3600}
	}
	const nobody = 1 // a port for which a program needs to be asked for: tcpmux
	httpPort, tlsPort := o.HTTPPort, o.TLSPort
	if httpPort == 0 {
		httpPort = nobody
	}
	if tlsPort == 0 {
		tlsPort = nobody
	}
	c.fresh = func() {
		t.Helper()
		store := db.NewMemoryStore()
		for id, key := range o.EAB {
			if err := store.AddExternalAccountKeyByID(id, key); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range o.Blocked {
			if err := store.AddBlockedDomain(name); err != nil {
				t.Fatal(err)
			}
		}
		environment.Lock()
		defer environment.Unlock()
		for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": strconv.Itoa(o.NonceReject)} {
			os.Setenv(name, value)
		}
		authority := ca.New(logger, store, "", "ecdsa", 0, 1, profiles)
		validator := va.New(logger, httpPort, tlsPort, false, c.DNS.Addr, store)
		front := wfe.New(logger, store, validator, authority, nil, false, len(o.EAB) > 0, 0, 0)
		all := front.Handler()
		var account sync.Mutex // Pebble writes to an account that it has made, and shows it to whoever has the same key, without a lock
		pebble := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, accountPath):
				account.Lock()
				defer account.Unlock()
			case strings.HasSuffix(r.URL.Path, orderPath):
				findReplaced(store, r)
			}
			all.ServeHTTP(w, r)
		}))
		c.ca.Store(authority)
		c.pebble.Store(&pebble)
	}
	c.fresh()
	c.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, orderPath) {
			c.orders.Add(1)
		}
		if c.down.Load() {
			panic(http.ErrAbortHandler)
		}
		if f := c.front.Load(); f != nil && (*f)(w, r) {
			return
		}
		(*c.pebble.Load()).ServeHTTP(w, r)
	}))
	c.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.server.StartTLS()
	t.Cleanup(c.server.Close)
	c.Directory = c.server.URL + wfe.DirectoryPath
	c.RootsFile = filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(c.RootsFile, encode(c.server.Certificate()), 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

// Intercept lets f answer requests to the CA before it does itself; f reports whether it has answered. nil: no more.
func (c *CA) Intercept(f func(http.ResponseWriter, *http.Request) bool) {
	if f == nil {
		c.front.Store(nil)
		return
	}
	c.front.Store(&f)
}

// SetDown makes the CA drop every connection, or not any more.
func (c *CA) SetDown(down bool) { c.down.Store(down) }

// Forget makes another CA of it, at the same place: with another root, and without the accounts and certificates there were.
func (c *CA) Forget() { c.fresh() }

// Orders returns how many certificates were asked for.
func (c *CA) Orders() int { return int(c.orders.Load()) }

// RootPEM returns the root of the certificates it issues.
func (c *CA) RootPEM() []byte { return c.ca.Load().GetRootCert(0).PEM() }

// Roots returns the root as a pool.
func (c *CA) Roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(c.RootPEM())
	return p
}

// Client returns how a client shakes hands that believes in this CA and asks for host.
func (c *CA) Client(host string) *tls.Config {
	return &tls.Config{RootCAs: c.Roots(), ServerName: host}
}

// Leaks are the goroutines that outlive a test for reasons of others, for goleak: those of the CA, which nobody can end, and those of the
// certificate library, which end by themselves after a while.
func Leaks() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
	}
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
