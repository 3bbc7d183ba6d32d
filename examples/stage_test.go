package examples

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/backend"
	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
)

// lot is what houses of a flow are built on.
type lot struct {
	n     *network
	dir   string   // for certificates, and for what houses keep
	names []string // that clients ask for by TLS
}

// read reads a configuration and makes it one of a flow: where it names certificate files, it gets some made for the names of the flow;
// what it keeps lies in a directory of its machine's own; and it has no admin socket, since the flow is the operator.
func (l lot) read(file string, at netip.Addr, roots *x509.CertPool) (*config.File, *config.Diagnostics, error) {
	f, diags := config.Load([]string{file}, config.Options{})
	if diags.HasErrors() {
		return f, diags, nil
	}
	f.Admin = nil
	f.Global.StateDir = filepath.Join(l.dir, "state-"+at.String())
	if err := os.MkdirAll(f.Global.StateDir, 0o700); err != nil {
		return f, diags, err
	}
	for _, c := range f.TLS {
		c.ACME = nil // no CA is asked by a test
		c.Key, c.Certificate = "", filepath.Join(l.dir, c.Name+".pem")
		if err := mint(c.Certificate, l.names, roots); err != nil {
			return f, diags, err
		}
	}
	return f, diags, nil
}

// stage builds the house of a configuration on the machine at, as "gatehouse run" would. An invalid at is the gateway.
func (l lot) stage(file string, at netip.Addr) (*stage, error) {
	m := machine{l.n, at}
	st := &stage{at: at, roots: x509.NewCertPool(), log: new(logLines)}
	f, diags, err := l.read(file, at, st.roots)
	if err != nil || diags.HasErrors() {
		var b strings.Builder
		return nil, errors.Join(err, diags.Print(&b), errors.New(b.String()))
	}
	home := l.n.gateway
	if at.IsValid() {
		home = at
	}
	for _, fr := range f.Frontends {
		for _, b := range fr.Binds {
			at := b.Address.AddrPort
			if !at.Addr().IsValid() {
				at = netip.AddrPortFrom(home, at.Port())
			}
			switch {
			case b.TLS == "" && !st.front.IsValid():
				st.front = at
			case b.TLS != "" && !st.tls.IsValid():
				st.tls = at
			}
		}
	}
	st.servers = serversOf(f)
	loops := []*loop.Loop{loop.NewMem(0), loop.NewMem(1)}
	stop := func() {
		for _, l := range loops {
			l.Stop()
		}
	}
	next := file // what a reload reads
	h, err := house.New(f, house.Options{
		Loops: loops, Listen: m.listen, Dial: m.dial, AccessLog: st.log,
		Watch: func(ctx context.Context, _ []string, _ func()) error { <-ctx.Done(); return nil },
		Load: func() (*config.File, *config.Diagnostics) {
			f, diags, err := l.read(next, at, st.roots)
			if err != nil {
				panic(err) // a directory of the test's own
			}
			return f, diags
		},
	})
	if err != nil {
		stop()
		return nil, err
	}
	st.start, st.obey = h.Start, h.Obey
	st.peek = func(file string) ([]*server, error) {
		f, diags, err := l.read(file, at, st.roots)
		if diags.HasErrors() {
			return nil, err
		}
		return serversOf(f), err
	}
	st.reload = func(file string) *admin.Outcome {
		next = file
		return h.Reload()
	}
	soft, hard := context.WithCancel(context.Background())
	over := make(chan error, 1)
	shutdown := sync.OnceFunc(func() { go func() { over <- h.Shutdown(soft) }() })
	st.stop = shutdown
	st.close = func() error {
		t := time.AfterFunc(time.Minute, hard)
		defer t.Stop()
		shutdown()
		err := <-over
		hard()
		for _, l := range loops {
			if n := l.Panics(); n > 0 {
				err = errors.Join(err, errors.New("panics in tasks: "+strconv.FormatUint(n, 10)))
			}
		}
		stop()
		return err
	}
	return st, nil
}

// serversOf lists the servers of a configuration. One without a port is there once for each port that clients come to, as NAME:PORT.
func serversOf(f *config.File) (list []*server) {
	for _, b := range f.Backends {
		for _, s := range b.Servers {
			if s.Address.Port() != 0 {
				list = append(list, serverOf(b, s, s.Name, s.Address.AddrPort))
				continue
			}
			for _, fr := range f.Frontends {
				for _, bind := range fr.Binds {
					if fr.Backend == b.Name {
						at := netip.AddrPortFrom(s.Address.Addr(), bind.Address.Port())
						list = append(list, serverOf(b, s, s.Name+":"+strconv.Itoa(int(at.Port())), at))
					}
				}
			}
		}
	}
	return list
}

// serverOf is what a flow must know of a server.
func serverOf(b *backend.Config, s *backend.Server, name string, at netip.AddrPort) *server {
	srv := &server{backend: b.Name, name: name, cookie: s.Cookie, at: at}
	if srv.cookie == "" {
		srv.cookie = s.Name
	}
	for _, c := range append(s.Checks, b.Checks...) {
		switch {
		case c.Kind == backend.CheckTLS:
			srv.checks = append(srv.checks, tlsCheck)
		case c.Kind == backend.CheckTCP:
			srv.checks = append(srv.checks, tcpCheck)
		case strings.Contains(c.Request, " HTTP/"):
			srv.checks = append(srv.checks, c.Request)
		default:
			srv.checks = append(srv.checks, c.Request+" HTTP/1.0", c.Request+" HTTP/1.1")
		}
		if c.Address != nil {
			srv.checkedAt = append(srv.checkedAt, c.Address.AddrPort)
		} else if c.Port != 0 {
			srv.checkedAt = append(srv.checkedAt, netip.AddrPortFrom(srv.at.Addr(), uint16(c.Port)))
		}
	}
	return srv
}

// mint writes a certificate for names, with its key, to a file, if there is none, and makes roots trust it. It is valid now, whenever that is: flows
// play in the year 2000.
func mint(file string, names []string, roots *x509.CertPool) error {
	if b, err := os.ReadFile(file); err == nil {
		roots.AppendCertsFromPEM(b)
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: append([]string{"localhost"}, names...),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	roots.AddCert(cert)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&b, block); err != nil {
			return err
		}
	}
	return os.WriteFile(file, b.Bytes(), 0o600)
}

// logLines collects the lines of an access log.
type logLines struct {
	mu   sync.Mutex
	text []byte
	ring func() // called at each line
}

// Write implements io.Writer.
func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	l.ring()
	return len(b), nil
}

// take takes the oldest line that re matches. Loops leave their lines one loop after another, so those of one moment come in no
// certain order.
func (l *logLines) take(re *regexp.Regexp) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := 0
	for line := range bytes.Lines(l.text) {
		if re.Match(bytes.TrimSuffix(line, []byte("\n"))) {
			l.text = append(l.text[:at:at], l.text[at+len(line):]...)
			return true
		}
		at += len(line)
	}
	return false
}

// next takes the oldest line.
func (l *logLines) next() (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line, rest, ok := bytes.Cut(l.text, []byte("\n"))
	if ok {
		l.text = rest
	}
	return string(line), ok
}
