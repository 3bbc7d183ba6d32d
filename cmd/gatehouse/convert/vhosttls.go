package convert

import "path"

// certificate takes a certificate's file for the virtual host's tls block. Program is who has it now.
func (v *vhost) certificate(p *pile, d *directive, file, program string) {
	t := v.set
	if t.cert != "" {
		d.refuse("one certificate for each virtual host: put others into a directory")
		return
	}
	t.cert = file
	t.take("", d)
	d.keep("tls { certificate }")
	p.certbot(t, d, program)
	if !path.IsAbs(file) {
		d.note("a relative path belongs to the new configuration's directory")
	}
}

// privateKey takes the file of its key, where that is one of its own.
func (v *vhost) privateKey(d *directive, file string) {
	if v.set.key = file; v.set.key == v.set.cert {
		v.set.key = ""
	}
	v.set.take("key", d)
	d.keep("tls { key }")
}

// versions takes the versions of TLS: 1.3 alone, or both that are spoken.
func (v *vhost) versions(d *directive, newest bool) {
	if !newest {
		d.note("TLS 1.2 and 1.3 are spoken")
		return
	}
	v.set.minVersion = "1.3"
	v.set.take("min_version", d)
	d.keep("min_version")
}

// askClients takes what is asked of clients: that they show a certificate, or may, or may show whatever they like.
func (v *vhost) askClients(d *directive, word string) {
	switch word {
	case "require", "on":
		v.set.clientMode = "require"
	case "optional":
		v.set.clientMode = "verify"
	case "optional_no_ca":
		v.set.clientMode = "request"
	default:
		d.fold("the default")
		return
	}
	v.ofClients(d)
}

// ofClients notes a line about certificates of clients.
func (v *vhost) ofClients(d *directive) {
	v.set.take("client_auth", d)
	d.keep("client_auth")
}
