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
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/backend"
	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
)

// loadStage builds the house of a configuration on n, as "gatehouse run" would. Where the configuration names certificate files, it
// gets some made for names, which lie in dir.
func loadStage(n *network, file, dir string, names []string) (*stage, error) {
	f, diags := config.Load([]string{file}, config.Options{})
	if diags.HasErrors() {
		var b strings.Builder
		return nil, errors.Join(diags.Print(&b), errors.New(b.String()))
	}
	st := &stage{roots: x509.NewCertPool(), log: new(logLines)}
	for _, c := range f.TLS {
		c.Key, c.Certificate = "", filepath.Join(dir, c.Name+".pem")
		if err := mint(c.Certificate, names, st.roots); err != nil {
			return nil, err
		}
	}
	for _, fr := range f.Frontends {
		for _, b := range fr.Binds {
			at := b.Address.AddrPort
			if !at.Addr().IsValid() {
				at = netip.AddrPortFrom(n.gateway, at.Port())
			}
			switch {
			case b.TLS == "" && !st.front.IsValid():
				st.front = at
			case b.TLS != "" && !st.tls.IsValid():
				st.tls = at
			}
		}
	}
	for _, b := range f.Backends {
		for _, s := range b.Servers {
			st.servers = append(st.servers, serverOf(b, s))
		}
	}
	loops := []*loop.Loop{loop.NewMem(0), loop.NewMem(1)}
	stop := func() {
		for _, l := range loops {
			l.Stop()
		}
	}
	h, err := house.New(f, house.Options{
		Loops: loops, Listen: n.listen, Dial: n.dial, AccessLog: st.log,
		Watch: func(ctx context.Context, _ []string, _ func()) error { <-ctx.Done(); return nil },
	})
	if err != nil {
		stop()
		return nil, err
	}
	st.start = h.Start
	st.close = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := h.Shutdown(ctx)
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

// serverOf is what a flow must know of a server.
func serverOf(b *backend.Config, s *backend.Server) *server {
	srv := &server{backend: b.Name, name: s.Name, cookie: s.Cookie, at: s.Address.AddrPort}
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

// mint writes a certificate for names, with its key, to a file, and makes roots trust it. It is valid now, whenever that is: flows
// play in the year 2000.
func mint(file string, names []string, roots *x509.CertPool) error {
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
