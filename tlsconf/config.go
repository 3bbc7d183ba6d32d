// Package tlsconf is the block "tls" of the configuration: certificates, and the protocol versions and ciphers they are
// served with.
//
//	certs, err := tlsconf.New(ctx, &tlsconf.Config{Name: "site", Certificate: "/etc/stunnel/stunnel.pem"}, log)
//	listener := tls.NewListener(l, certs.Config())
package tlsconf

import (
	"context"
	"time"
)

// Config is a set of certificates and how they are served.
type Config struct {
	Name string `hcl:"name,label"`

	// Certificate is a PEM file with the certificate, its chain and (unless Key names another file) its
	// private key, in any order, as stunnel and HAProxy use it; or a directory of such files, chosen by the name the
	// client asks for, the first file in alphabetical order for clients that name none.
	Certificate string `hcl:"certificate,optional" path:"true"`

	// Key is the file with the private key, where it is one of its own.
	Key string `hcl:"key,optional" path:"true"`

	// AllowInsecurePermissions accepts a private key that every user of the machine may read.
	AllowInsecurePermissions bool `hcl:"allow_insecure_permissions,optional"`

	// Internal issues certificates from gatehouse's own local CA, for development and until others arrive.
	Internal bool `hcl:"internal,optional"`

	// ACME obtains certificates from a certificate authority such as Let's Encrypt, and renews them. A certificate may be named besides:
	// it is served until the CA has issued.
	ACME *ACME `hcl:"acme,block"`

	// Hosts are the names certificates are issued for, internal ones and those of acme. Without it: the hosts of the frontends that use
	// the block, and localhost for an internal one. Clients that name no host get the certificate of the first one that is written.
	Hosts []string `hcl:"hosts,optional"`

	// Profile is Mozilla's name for a set of protocol versions and ciphers: "intermediate" (TLS 1.2 and 1.3) or "modern" (TLS 1.3).
	Profile Profile `hcl:"profile,optional" default:"intermediate"`

	// MinVersion is the oldest protocol version served: "1.2" or "1.3".
	MinVersion Version `hcl:"min_version,optional"`

	// StrictSNI refuses clients that name no host, and hosts without a certificate. Without it clients that name no host get the
	// first certificate; an unknown name is always refused.
	// A request for another host than the one the TLS connection was made for is answered with 421 then.
	StrictSNI bool `hcl:"strict_sni,optional"`

	// HSTS tells browsers to come back by https only, for so long: "730d" adds "Strict-Transport-Security: max-age=63072000" to
	// every answer over TLS, gatehouse's own pages and redirects too, in the place of what a server sends; nothing is added in the
	// clear. Browsers do not forget it when it is taken out of the configuration: to withdraw it, set a time as short as "1s" and
	// leave it for as long as the old one lasts. "0s", the default, leaves the header to the servers.
	HSTS time.Duration `hcl:"hsts,optional"`

	// ClientAuth asks clients for a certificate of their own.
	ClientAuth *ClientAuth `hcl:"client_auth,block"`

	// Exports is a directory that the certificates are written to for another program, such as a mail server.
	Exports []*Export `hcl:"export,block"`

	// StateDir is where the internal CA lives. Set by the house, from global.state_dir.
	StateDir string

	// Keeper obtains the certificates of the acme block. Set by the house, since it outlives a configuration. nil: one of its own.
	Keeper *Keeper

	// Tickets seals session tickets. Set by the house, from the generation before, so that clients resume across a reload.
	// nil: keys of its own.
	Tickets *Tickets

	// Watch calls changed after each change in the directories until ctx ends; an error means that it cannot. nil: the
	// kernel's file notifications. Those hold up the time of a synctest bubble, where a function that only waits for ctx serves.
	// Besides, the files are looked at once a minute.
	Watch func(ctx context.Context, dirs []string, changed func()) error
}

// Profile is a set of protocol versions, cipher suites and groups.
type Profile uint8

// Mozilla's profiles.
const (
	Intermediate Profile = iota
	Modern
)

// Version is a TLS version, as crypto/tls numbers them. 0: the profile's.
type Version uint16
