package config

import (
	"fmt"

	"gatehouse/backend/h1"
	"gatehouse/frontend"
	"gatehouse/tlsconf"
)

// allowExec is what to do when a program would be run.
const allowExec = "Whoever may write this file could run programs as gatehouse. If that is meant so: global { allow_exec = true }."

// certificates checks what acme blocks need of the rest of the configuration: names, and addresses at which CAs find them.
func (d *decoder) certificates() {
	for _, t := range d.file.TLS {
		for _, e := range t.Exports {
			if len(e.Reload) > 0 && !d.file.Global.AllowExec {
				d.file.Bad(&e.Reload, "a program is run, and allow_exec is not set", allowExec)
			}
		}
		if t.ACME == nil {
			continue
		}
		d.certifiedNames(t)
		d.reach(t)
		if dns := t.ACME.DNS; dns != nil && dns.Kind == tlsconf.Exec && !d.file.Global.AllowExec {
			d.file.Bad(&dns.Command, "a program is run, and allow_exec is not set", allowExec)
		}
	}
}

// certifiedNames refuses hosts for which no CA issues a certificate.
func (d *decoder) certifiedNames(t *tlsconf.Config) {
	byDNS := t.ACME.DNS != nil
	check := func(hosts []string) {
		for i, h := range hosts {
			_, fault := tlsconf.CertifiedName(h, byDNS)
			switch {
			case fault == "":
			case len(h) > 2 && h[:2] == "*.":
				d.file.Bad(&hosts[i], fmt.Sprintf("no certificate can be obtained for %q: it %s", h, fault), "Name the hosts one by one, or write how the DNS is changed.")
			default:
				d.file.Warn(&hosts[i], fmt.Sprintf("no certificate can be obtained for %q: it %s", h, fault),
					"Clients get a certificate of gatehouse's local CA, or none. Use another tls block for it, or a name that is known in the DNS.")
			}
		}
	}
	check(t.Hosts)
	for _, f := range d.file.Frontends {
		for _, b := range f.Binds {
			if b.TLS != t.Name {
				continue
			}
			if len(f.Hosts) == 0 && len(t.Hosts) == 0 {
				d.file.Bad(&b.TLS, fmt.Sprintf("nobody knows which names tls %q needs certificates for", t.Name),
					`Give the frontend its hosts: hosts = ["www.example.com"]. Or the tls block.`)
			}
			check(f.Hosts)
			break
		}
	}
}

// reach warns when CAs find nobody to ask.
func (d *decoder) reach(t *tlsconf.Config) {
	if t.ACME.DNS != nil {
		return
	}
	for _, f := range d.file.Frontends {
		for _, b := range f.Binds {
			if mayBe(b, t.ACME.TLSPort) && b.TLS != "" || mayBe(b, t.ACME.HTTPPort) && b.TLS == "" && f.Mode == h1.HTTP {
				return
			}
		}
	}
	d.file.Warn(t.ACME, fmt.Sprintf("no CA can see that the hosts are ours: nobody listens on port %d in the clear, or on port %d with tls", t.ACME.HTTPPort, t.ACME.TLSPort),
		`Add bind ":80" { redirect = "https" }. If other ports are forwarded to this machine, name them: http_port, tls_port. Or prove it by dns.`)
}

// mayBe reports whether an address has that port. Of an inherited descriptor nobody knows before it is there.
func mayBe(b *frontend.Bind, port int) bool {
	return int(b.Address.Port()) == port || b.Address.FD != ""
}
