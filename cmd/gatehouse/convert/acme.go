package convert

import (
	"slices"
	"strings"
)

// An acmeSet is certificates that a program gets by itself.
type acmeSet struct {
	node
	email, directory string
}

// certbotDir is where certbot puts certificates.
const certbotDir = "/etc/letsencrypt/live/"

// hasACME reports whether the language gets certificates by itself.
func hasACME() bool { return blockType(blockType(typeOfFile, "tls"), "acme") != nil }

// certbot judges a certificate of certbot's. Written as one who begins anew would, there is no certbot any more; it reports whether that is so.
func (p *pile) certbot(t *tlsSet, d *directive, program string) bool {
	if !strings.HasPrefix(t.cert, certbotDir) {
		return false
	}
	if p.options.Idiomatic && hasACME() {
		t.acme = &acmeSet{}
		t.acme.take("", d)
		d.note("gatehouse gets its certificates by itself: certbot is not needed any more for them")
		return true
	}
	d.note("certbot goes on renewing it, and the new file is taken up by itself; certbot's own hooks must not start %s any more", program)
	if hasACME() {
		d.note(`tls "auto" { acme { email = "…" } } would do without certbot (--idiomatic writes that)`)
	}
	return false
}

// A managed is the names Apache's mod_md gets certificates for.
type managed struct {
	names          []string
	by             []*directive
	email, dir     string
	emailBy, dirBy *directive
}

// letsEncryptDirs are the names mod_md has for directories.
var letsEncryptDirs = map[string]string{"letsencrypt": "", "letsencrypt-test": "https://acme-staging-v02.api.letsencrypt.org/directory", "buypass": "https://api.buypass.com/acme/directory", "buypass-test": "https://api.test4.buypass.no/acme/directory"}

// domainLine reads the directives of mod_md.
func (a *apache) domainLine(n *apacheNode) {
	m := &a.managed
	d := n.directive
	if !hasACME() {
		d.refuse("%s", reasonACME)
		return
	}
	switch n.name {
	case "mdomain", "mdmember", "mdmembers":
		for _, name := range n.args(1) {
			switch strings.ToLower(name) {
			case "auto", "manual":
			default:
				m.names = append(m.names, strings.ToLower(name))
			}
		}
		m.by = append(m.by, d)
		d.keep("tls { acme }")
	case "mdcontactemail":
		m.email, m.emailBy = n.arg(1), d
		d.keep("acme { email }")
	case "mdcertificateauthority":
		dir, known := letsEncryptDirs[strings.ToLower(n.arg(1))]
		if !known {
			dir = n.arg(1)
		}
		m.dir, m.dirBy = dir, d
		d.keep("acme { directory }")
		if len(n.words) > 2 {
			d.note("the others: acme { fallback }")
		}
	case "mdcertificateagreement", "mdbaseserver", "mdcertificateprotocol", "mdstoredir", "mdstapling", "mdcertificatestatus", "mdserverstatus", "mdwarnwindow", "mdretrydelay", "mdretryfailover", "mdactivationdelay", "mdstaplingkeepresponse", "mdrenewwindow", "mddrivemode", "mdrenewmode", "mdcachallenges":
		d.fold("certificates are got and renewed in time by themselves")
	case "mdrequirehttps":
		if strings.EqualFold(n.arg(1), "off") {
			d.fold("the default")
			return
		}
		d.note(`write redirect = "https" at the bind of port 80, if it is not there`)
	case "mdchallengedns01":
		d.refuse(`a program that sets records is acme { dns "exec" { … } }`)
	case "mdportmap":
		d.refuse("write acme { http_port, tls_port }: the ports of this machine at which the authority comes in")
	case "mdexternalaccountbinding":
		d.secret(d.words, 1)
		d.refuse("write acme { eab { key_id, hmac } }")
	case "mdprivatekeys", "mdmuststaple":
		d.note("keys and certificates are of the kind gatehouse asks for")
	default:
		d.note("nothing of this kind here")
	}
}

// selfMade makes the certificates of a virtual host those that are got by itself, if mod_md did so.
func (v *vhost) selfMade() bool {
	m := &v.a.managed
	if !slices.ContainsFunc(v.names, func(name string) bool { return slices.Contains(m.names, name) }) {
		return false
	}
	t := v.set
	if t == nil {
		t = &tlsSet{}
		v.set = t
	}
	t.acme = &acmeSet{email: m.email, directory: m.dir}
	for _, d := range m.by {
		t.acme.take("", d)
	}
	t.acme.take("email", m.emailBy)
	t.acme.take("directory", m.dirBy)
	return true
}

// write writes the block.
func (a *acmeSet) write(o *outline) {
	o.block(&a.node, "acme", nil, func(o *outline) {
		o.text(&a.node, "email", a.email)
		o.text(&a.node, "directory", a.directory)
		o.leftover(&a.node)
	})
}
