package convert

import (
	"path"
	"strings"
)

// certificate makes the tls block of a service that ends TLS.
func (s *stunnelService) certificate() *tlsSet {
	t := &tlsSet{}
	cert := s.opts["cert"]
	switch {
	case cert == nil:
		s.head.refuse("a server without a certificate")
		s.closed = true
		return nil
	default:
		t.cert = cert.words[1]
		t.take("", cert)
		cert.keep("tls { certificate }")
		if !path.IsAbs(t.cert) {
			cert.note("a relative path belongs to the new configuration's directory")
		}
	}
	if d := s.opts["key"]; d != nil {
		t.key = d.words[1]
		if t.key == t.cert {
			t.key = ""
			d.fold("the certificate's file has it")
		} else {
			d.keep("tls { key }")
		}
		t.take("key", d)
	}
	s.version(t)
	s.verifyClient(t)
	t.name = nameOfFile(t.cert)
	return s.p.site.tls(t)
}

// version reads the versions of TLS.
func (s *stunnelService) version(t *tlsSet) {
	for _, name := range []string{"sslversion", "sslversionmin"} {
		d := s.opts[name]
		if d == nil {
			continue
		}
		switch v := d.words[1]; v {
		case "TLSv1.2", "TLSv1.3":
			min, _ := minVersion(v)
			t.minVersion = max(t.minVersion, min)
			t.take("min_version", d)
			d.keep("min_version")
			if name == "sslversion" && v == "TLSv1.2" {
				d.note("TLS 1.3 is spoken too")
			}
		case "all":
			d.note("TLS 1.2 is the oldest that is spoken")
		default:
			d.note("%s is not spoken any more: TLS 1.2 is the oldest", v)
		}
	}
	if d := s.opts["sslversionmax"]; d != nil {
		d.note("the newest version both sides know is spoken")
	}
	for _, d := range s.many["options"] {
		switch v := strings.ToUpper(strings.TrimPrefix(d.words[1], "-")); {
		case strings.HasPrefix(d.words[1], "-") && (v == "NO_SSLV2" || v == "NO_SSLV3" || v == "NO_TLSV1" || v == "NO_TLSV1.1"):
			d.note("TLS 1.2 is the oldest that is spoken")
		case strings.HasPrefix(d.words[1], "-"):
			d.fold("OpenSSL is not used")
		case v == "NO_TLSV1.2" || v == "NO_TLSV1_2":
			t.minVersion = "1.3"
			t.take("min_version", d)
			d.keep("min_version")
		default:
			d.fold("never done here, or always")
		}
	}
}

// verifyClient reads what is asked of clients' certificates. Those options mean the server's in client mode.
func (s *stunnelService) verifyClient(t *tlsSet) {
	level := ""
	for _, name := range []string{"verify", "verifychain", "verifypeer", "requirecert"} {
		d := s.opts[name]
		switch {
		case d == nil:
		case name == "verify" && (d.words[1] == "0"), name != "verify" && !yes(d):
			d.fold("the default")
		case name == "verify" && d.words[1] == "1":
			level = "verify"
			t.take("client_auth", d)
			d.keep("client_auth")
		case name == "verifypeer" || name == "verify" && (d.words[1] == "3" || d.words[1] == "4"):
			level = "require"
			t.take("client_auth", d)
			d.refuse("certificates are judged by their authority: none is known by itself")
		default:
			level = "require"
			t.take("client_auth", d)
			d.keep("client_auth")
		}
	}
	for _, name := range []string{"cafile", "capath", "crlfile", "crlpath", "checkhost", "checkip", "checkemail"} {
		for _, d := range s.many[name] {
			switch {
			case level == "":
				d.fold("clients are not asked for a certificate")
			case name == "cafile":
				t.clientCA = d.words[1]
				t.take("client_auth", d)
				d.keep("client_auth")
			case name == "crlfile":
				t.crl = d.words[1]
				t.take("client_auth", d)
				d.keep("client_auth")
			default:
				d.refuse("the authority's file alone decides about certificates")
			}
		}
	}
	t.clientMode = level
}

// serverTLS is TLS towards the server of a client service.
func (s *stunnelService) serverTLS(d *directive) *serverTLS {
	t := &serverTLS{}
	t.from = map[string][]*directive{"": {d}}
	verified := false
	for _, name := range []string{"verify", "verifychain", "verifypeer", "requirecert"} {
		v := s.opts[name]
		switch {
		case v == nil:
		case name == "verify" && (v.words[1] == "0" || v.words[1] == "1"), name != "verify" && !yes(v):
			v.fold("the certificate is not verified")
		case name == "verifypeer" || name == "verify" && v.words[1] != "2":
			v.refuse("certificates are judged by their authority: none is known by itself")
		default:
			verified = true
			v.keep("the server's certificate is verified")
		}
	}
	for _, name := range []string{"cafile", "capath", "crlfile", "crlpath", "checkhost", "checkip", "checkemail", "sni"} {
		for i, o := range s.many[name] {
			switch {
			case name == "sni", name == "checkhost" && verified && i == 0:
				t.serverName = o.words[1]
				t.take("server_name", o)
				o.keep("server_name")
			case !verified:
				o.fold("the certificate is not verified")
			case name == "cafile":
				t.ca = o.words[1]
				t.take("ca", o)
				o.keep("ca")
			case name == "capath" && isSystemCA(o.words[1]):
				o.fold("the authorities the machine trusts")
			default:
				o.refuse("the authority's file and the server's name alone decide about certificates")
			}
		}
	}
	if !verified {
		t.verify = new(false)
		d.note("the server's certificate is not verified, as before: anybody in between can read everything")
	} else if t.serverName == "" {
		d.note("the server's certificate must be for its name here; before, any of the authority's would do")
	}
	if c := s.opts["cert"]; c != nil {
		t.cert = c.words[1]
		t.take("certificate", c)
		c.keep("the certificate shown to the server")
	}
	if k := s.opts["key"]; k != nil {
		t.key = k.words[1]
		t.take("key", k)
		k.keep("key")
	}
	s.version(&tlsSet{})
	for _, name := range []string{"sslversion", "sslversionmin"} {
		if v := s.opts[name]; v != nil {
			v.note("the best both sides know is spoken with servers, at least TLS 1.2")
		}
	}
	return t
}

func isSystemCA(dir string) bool {
	switch strings.TrimRight(dir, "/") {
	case "/etc/ssl/certs", "/etc/pki/tls/certs", "/usr/share/ca-certificates":
		return true
	}
	return false
}
