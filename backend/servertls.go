package backend

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"gatehouse/backend/loop"
)

// ServerTLS is TLS towards a server. The files it names are looked at every few seconds: changed ones count for the next connection, once they
// can be used; until then what was read before does, and the log says why.
type ServerTLS struct {
	// CA is a PEM file with the certificates of the authorities that may have issued the server's. Without it, those the machine
	// trusts.
	CA string `hcl:"ca,optional" path:"true"`

	// ServerName is the name asked for, and looked for in the server's certificate. Without it, the host of the server's address.
	ServerName string `hcl:"server_name,optional"`

	// Verify refuses servers whose certificate is not from a known authority, has expired or is for another name. With false, whoever
	// sits between here and the server can read everything.
	Verify bool `hcl:"verify,optional" default:"true"`

	// Certificate is a PEM file with a certificate, its chain and (unless Key names another file) its private key, to be shown to a
	// server that asks for one.
	Certificate string `hcl:"certificate,optional" path:"true"`

	// Key is the file with the private key, where it is one of its own.
	Key string `hcl:"key,optional" path:"true"`
}

// resumable is how many sessions with a server are remembered: each new connection uses one up, and brings new ones.
const resumable = 256

// A tlsFault is what is wrong with the files of a ServerTLS, or with what it says.
type tlsFault struct {
	field           any // a pointer into the ServerTLS
	problem, remedy string
}

func (f *tlsFault) Error() string { return f.problem }

// VerifyFiles reads the files t names and reports what is wrong with them.
func (t *ServerTLS) VerifyFiles(bad func(field any, problem, remedy string)) {
	for _, f := range t.faults() {
		bad(f.field, f.problem, f.remedy)
	}
}

func (t *ServerTLS) faults() (list []*tlsFault) {
	if _, f := t.authorities(); f != nil {
		list = append(list, f)
	}
	if _, f := t.certificates(); f != nil {
		list = append(list, f)
	}
	return list
}

// authorities reads the CA file. nil: those of the machine.
func (t *ServerTLS) authorities() (*x509.CertPool, *tlsFault) {
	if t.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, &tlsFault{&t.CA, err.Error(), "Name a PEM file with the certificate of the authority that issued the server's."}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &tlsFault{&t.CA, t.CA + ": no certificate in it", "It should hold CERTIFICATE blocks in PEM. A binary file is converted by: openssl x509 -inform der -in FILE -out FILE.pem"}
	}
	return pool, nil
}

// files returns the files t names.
func (t *ServerTLS) files() (list []string) {
	for _, path := range []string{t.CA, t.Certificate, t.Key} {
		if path != "" {
			list = append(list, path)
		}
	}
	return list
}

// certificates reads the client's certificate, none if there is none to show.
func (t *ServerTLS) certificates() ([]tls.Certificate, *tlsFault) {
	if t.Certificate == "" {
		return nil, nil
	}
	key := t.Key
	if key == "" {
		key = t.Certificate
	}
	for _, f := range []struct {
		field *string
		path  string
	}{{&t.Certificate, t.Certificate}, {&t.Key, key}} {
		if _, err := os.ReadFile(f.path); err != nil {
			return nil, &tlsFault{f.field, err.Error(), "Name a PEM file that exists and can be read."}
		}
	}
	pair, err := tls.LoadX509KeyPair(t.Certificate, key)
	if err != nil {
		return nil, &tlsFault{&t.Certificate, fmt.Sprintf("%s: %v", t.Certificate, err), "The file should hold the certificate first, then its chain, and its private key if key names no other file."}
	}
	return []tls.Certificate{pair}, nil
}

// Check reports what contradicts itself.
func (t *ServerTLS) Check(bad func(field any, problem, remedy string)) {
	if t.Key != "" && t.Certificate == "" {
		bad(&t.Key, "key is set without certificate", "Name the certificate's file too.")
	}
	if t.CA != "" && !t.Verify {
		bad(&t.CA, "ca is set, but nothing is verified", "Leave out verify = false.")
	}
}

// client returns the configuration of connections to a server, which all of them share. host is the name in its address, "" for none;
// protocols is what is offered to it, nil for nothing.
func (t *ServerTLS) client(host string, protocols []string) (*tls.Config, error) {
	pool, fault := t.authorities()
	if fault != nil {
		return nil, fault
	}
	own, fault := t.certificates()
	if fault != nil {
		return nil, fault
	}
	if pool == nil && t.Verify { // read now: the first handshake would do it on its loop
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("the certificates this machine trusts: %w", err)
		}
	}
	c := &tls.Config{
		RootCAs:                     pool,
		Certificates:                own,
		ServerName:                  t.ServerName,
		InsecureSkipVerify:          !t.Verify,
		ClientSessionCache:          tls.NewLRUClientSessionCache(resumable),
		DynamicRecordSizingDisabled: true, // what goes out is gathered already
		NextProtos:                  protocols,
	}
	if c.ServerName == "" {
		c.ServerName = host
	}
	return c, nil
}

// greetServer does the TLS handshake on a new connection to a server, within d (0 or less: no limit). It parks. It does not close the
// connection when it fails.
func greetServer(lc *loop.Conn, c *tls.Config, d time.Duration) (*tls.Conn, error) {
	lc.SetBuffered(true)
	lc.SetReadTimeout(d)
	lc.SetWriteTimeout(d)
	t := tls.Client(lc, c)
	err := t.Handshake()
	if err == nil {
		err = lc.Drain()
	} else {
		lc.SetWriteTimeout(time.Second)
		lc.Drain() // the alert
	}
	if err != nil {
		return nil, err
	}
	lc.SetReadTimeout(0)
	lc.SetWriteTimeout(0)
	return t, nil
}

// checkGreeting returns how a check of the server's own port begins, nil where it has nothing to begin with. In a PROXY header it
// announces itself: a server may refuse what is announced as unknown.
func (s *server) checkGreeting() func(c *loop.Conn, withTLS bool, d time.Duration) (stream, error) {
	if s.c.SendProxy == 0 && s.c.TLS == nil && s.c.Protocol == ProtocolHTTP1 {
		return nil
	}
	return func(c *loop.Conn, withTLS bool, d time.Duration) (stream, error) {
		under := s.tls.Load()
		if !withTLS {
			under = nil
		}
		t, err := greet(c, s.c.SendProxy, c.Local(), c.Remote(), under, d)
		if t == nil || err != nil {
			return c, err
		}
		return &checkTLS{Conn: c, t: t}, nil
	}
}

// checkTLS is a check's connection under TLS.
type checkTLS struct {
	*loop.Conn
	t *tls.Conn
}

// Read is net.Conn's.
func (c *checkTLS) Read(b []byte) (int, error) { return c.t.Read(b) }

// Write is net.Conn's. It parks until b is with the kernel.
func (c *checkTLS) Write(b []byte) (int, error) {
	n, err := c.t.Write(b)
	if err == nil {
		err = c.Drain()
	}
	return n, err
}

// Close is net.Conn's, with a close_notify.
func (c *checkTLS) Close() error {
	if !c.Closed() && !c.Broken() {
		c.t.CloseWrite()
	}
	return c.Conn.Close()
}
