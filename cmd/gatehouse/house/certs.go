package house

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/tlsconf"
)

// Certified describes all certificates, in the order of the blocks, with the files that nothing is served of.
func (h *House) Certified() []admin.Certificate {
	g := h.gen.Load()
	list := []admin.Certificate{}
	for _, c := range g.file.TLS {
		list = append(list, certificatesOf(c.Name, g.certs[c.Name].Certificates)...)
	}
	return list
}

// certificatesOf describes the certificates of a block: those it obtains by name, the others by certificate.
func certificatesOf(block string, c *tlsconf.Certificates) (list []admin.Certificate) {
	files := c.List()
	managed := c.Managed()
	standIn := map[string]tlsconf.Status{} // by name: what is served where nothing was obtained
	obtained := make(map[string]bool, len(managed))
	for _, m := range managed {
		if m.File != "" {
			obtained[m.File] = true
		}
	}
	for _, s := range files {
		if managed == nil || !obtained[s.File] {
			for _, name := range s.Names {
				standIn[name] = s
			}
		}
	}
	for _, m := range managed {
		v := admin.Certificate{
			TLS: block, Names: []string{m.Name}, Source: "acme", State: m.State, CA: m.CA, Way: m.Challenge, File: m.File,
			NotBefore: m.NotBefore, NotAfter: m.NotAfter, Next: m.Next, Obtained: m.Obtained, Successes: m.Successes, Failures: m.Failures,
		}
		if f := m.Last; f != nil {
			v.Failure = &admin.CertFailure{Time: f.Time, Times: f.Times, CA: f.CA, Challenge: f.Challenge, Problem: f.Problem, Why: f.Why}
		}
		if m.File == "" {
			v.Serving = "no certificate for it"
			if s, ok := standIn[m.Name]; ok {
				v.Serving = "a certificate of the internal CA meanwhile"
				if s.File != "" {
					v.Serving = "the certificate in " + s.File + " meanwhile"
				}
			} else if s, ok := standIn["*"+m.Name[max(strings.IndexByte(m.Name, '.'), 0):]]; ok && s.File != "" {
				v.Serving = "the certificate in " + s.File + " meanwhile"
			}
		}
		list = append(list, v)
	}
	for _, s := range files {
		if managed != nil && (s.File == "" || obtained[s.File]) {
			continue
		}
		v := admin.Certificate{
			TLS: block, Names: s.Names, Source: "file", State: s.State, Issuer: s.Issuer, File: s.File, Problem: s.Problem,
			NotBefore: s.NotBefore, NotAfter: s.NotAfter, Default: s.Default,
		}
		if s.File == "" {
			v.Source, v.Next = "internal", s.NotAfter.Add(-s.NotAfter.Sub(s.NotBefore)/3)
		}
		list = append(list, v)
	}
	return list
}

// certName is a name as certificates have it.
func certName(s string) string { return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), ".")) }

// ShowCertificate says how it stands with a name, and what clients get who ask for it.
func (h *House) ShowCertificate(name string) (*admin.CertShown, error) {
	g := h.gen.Load()
	name = certName(name)
	out := &admin.CertShown{Details: []admin.CertDetail{}}
	for _, c := range g.file.TLS {
		certs := g.certs[c.Name].Certificates
		if out.State == nil && certs.Managed() != nil {
			for _, x := range certificatesOf(c.Name, certs) {
				if x.Source == "acme" && x.Covers(name) && (out.State == nil || slices.Contains(x.Names, name)) {
					out.State = &x
				}
			}
		}
		for _, d := range certs.Details(name) {
			v := admin.CertDetail{
				TLS: c.Name, Names: d.Names, State: d.State, Subject: d.Subject, Issuer: d.Issuer, Serial: d.Serial, Key: d.Key, Signature: d.Signature,
				SHA256: d.SHA256, SHA1: d.SHA1, PublicKey: d.PublicKey, NotBefore: d.NotBefore, NotAfter: d.NotAfter, File: d.File, Since: d.Since,
				Default: d.Default, Responder: d.Responder, Chain: []admin.CertLink{},
			}
			for _, l := range d.Chain {
				v.Chain = append(v.Chain, admin.CertLink{Subject: l.Subject, Issuer: l.Issuer, NotAfter: l.NotAfter})
			}
			if s := d.Staple; s != nil {
				v.Staple = &admin.Staple{Status: s.Status, ThisUpdate: s.ThisUpdate, NextUpdate: s.NextUpdate}
			}
			out.Details = append(out.Details, v)
		}
	}
	if out.State == nil && len(out.Details) == 0 {
		return nil, g.unknownName(name)
	}
	return out, nil
}

// maxNamed is how many names an error lists.
const maxNamed = 10

// unknownName says that there is no certificate for a name, and which there are.
func (g *generation) unknownName(name string) error {
	var names []string
	for _, c := range g.file.TLS {
		names = append(names, g.certs[c.Name].Names()...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if meant := config.Nearest(name, names); meant != "" {
		return fmt.Errorf("%w name %s: did you mean %s?", admin.ErrUnknown, name, meant)
	}
	more := ""
	if len(names) > maxNamed {
		more = fmt.Sprintf(", %d more", len(names)-maxNamed)
		names = names[:maxNamed]
	}
	return fmt.Errorf("%w name %s: there are certificates for %s%s", admin.ErrUnknown, name, listOf(names), more)
}

// RenewCertificates has certificates obtained anew, and returns before they are.
func (h *House) RenewCertificates(r admin.Renewal) (*admin.Renewing, error) {
	g, now := h.gen.Load(), time.Now()
	out := &admin.Renewing{}
	wanted := map[string]bool{}
	for _, name := range r.Names {
		wanted[certName(name)] = true
	}
	found := map[string]bool{}
	for _, c := range g.file.TLS {
		certs := g.certs[c.Name].Certificates
		for _, m := range certs.Managed() {
			if !r.All && !wanted[m.Name] {
				continue
			}
			found[m.Name] = true
			switch why := notYet(&m, now); {
			case m.State == "unreachable":
				out.Left = append(out.Left, admin.LeftCert{Name: m.Name, Bad: true,
					Why: fmt.Sprintf("no CA can see that the name is ours: nobody listens in the clear on the port %s names, or with tls on that of %s", "http_port", "tls_port")})
			case why != "" && !r.Force:
				out.Left = append(out.Left, admin.LeftCert{Name: m.Name, Why: why})
			default:
				if err := certs.Renew(m.Name); err != nil {
					return nil, err
				}
				out.Started = append(out.Started, admin.Started{TLS: c.Name, Name: m.Name, Successes: m.Successes, Failures: m.Failures})
			}
		}
	}
	for _, name := range r.Names {
		name = certName(name)
		if found[name] {
			continue
		}
		found[name] = true
		shown, err := h.ShowCertificate(name)
		if err != nil {
			return nil, err
		}
		if shown.State != nil { // a wildcard covers it
			return nil, fmt.Errorf("%w name %s: it is served with the certificate for %s, which can be renewed", admin.ErrUnknown, name, shown.State.Names[0])
		}
		why := "its certificate is in " + shown.Details[0].File + ": put another one there, and it is taken up by itself"
		if shown.Details[0].File == "" {
			why = "its certificate is of the internal CA, and is renewed by itself in time"
		}
		out.Left = append(out.Left, admin.LeftCert{Name: name, Why: why, Bad: true})
	}
	if r.All && len(found) == 0 {
		return nil, fmt.Errorf("no tls block obtains certificates by ACME")
	}
	return out, nil
}

// notYet says why there is no need to renew, "" when there may be one.
func notYet(m *tlsconf.Managed, now time.Time) string {
	switch {
	case m.File == "" || m.Last != nil || m.State != "valid" || !now.Before(m.Next):
		return ""
	case m.Next.IsZero():
		return "it is good until " + m.NotAfter.Local().Format(time.DateTime)
	}
	return fmt.Sprintf("it is good until %s and will be renewed about %s", m.NotAfter.Local().Format(time.DateTime), m.Next.Local().Format(time.DateTime))
}

// ImportCertificate brings in a certificate for a block that obtains its own.
func (h *House) ImportCertificate(i admin.CertImport) (*admin.CertImported, error) {
	g := h.gen.Load()
	for _, c := range g.file.TLS {
		done, err := g.certs[c.Name].Import(h.ctx, []byte(i.PEM), i.Force)
		switch {
		case errors.Is(err, tlsconf.ErrOther):
			continue
		case err != nil:
			return nil, err
		}
		if !done.Known {
			h.o.Log.Info("certificate imported", zap.Strings("names", done.Names), zap.Time("not_after", done.Until), zap.String("file", done.File))
		}
		return Brought(done), nil
	}
	return nil, fmt.Errorf("no tls block obtains certificates by ACME for it: name it in hosts first")
}

// Brought words what has become of a certificate that was brought in.
func Brought(d *tlsconf.Imported) *admin.CertImported {
	return &admin.CertImported{TLS: d.Block, Names: d.Names, Managed: d.Managed, Known: d.Known, File: d.File, Until: d.Until}
}

// ExportCertificate returns the certificate of a name with its key.
func (h *House) ExportCertificate(name string) (*admin.CertPEM, error) {
	g := h.gen.Load()
	name = certName(name)
	var first error
	for _, c := range g.file.TLS {
		certs := g.certs[c.Name].Certificates
		if len(certs.Details(name)) == 0 {
			continue
		}
		chain, key, err := certs.PEM(name)
		if err == nil {
			return &admin.CertPEM{Chain: string(chain), Key: string(key)}, nil
		}
		if first == nil {
			first = err
		}
	}
	if first != nil {
		return nil, first
	}
	return nil, g.unknownName(name)
}

// CertifiedBlocks returns the tls blocks of a configuration, with all hosts that certificates are obtained for.
func CertifiedBlocks(f *config.File) (list []*tlsconf.Config) {
	for _, c := range f.TLS {
		own := *c
		if own.ACME != nil {
			own.Hosts = certifiedHosts(f, c)
		}
		own.StateDir = f.Global.StateDir
		list = append(list, &own)
	}
	return list
}
