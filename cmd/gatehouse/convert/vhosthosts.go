package convert

import (
	"net/netip"
	"strings"
)

// wants notes which Host the servers of b saw: that of their URL, or "=" and a constant.
func (a *hosting) wants(b *back, host string, d *directive) {
	if a.hosts == nil {
		a.hosts = map[*back]map[string][]*directive{}
	}
	if a.hosts[b] == nil {
		a.hosts[b] = map[string][]*directive{}
	}
	a.hosts[b][host] = append(a.hosts[b][host], d)
}

// tellHosts makes servers see the Host they saw, where it was always the same name. Addresses are not worth that: nobody is called so.
func (a *hosting) tellHosts() {
	for b, hosts := range a.hosts {
		for host, lines := range hosts {
			for _, d := range lines {
				name, constant := strings.CutPrefix(host, "=")
				switch {
				case host == "":
				case constant && len(hosts) == 1:
					b.request = b.request.with(fieldChange{do: "set", name: "Host", value: name, d: d})
				case constant:
					d.refuse("other lines send its servers another Host: give these requests a backend of their own")
				case len(hosts) > 1 || !isName(host):
					d.note("servers see the name the client asked for, not that of the URL")
				default:
					b.request = b.request.with(fieldChange{do: "set", name: "Host", value: host, d: d})
				}
			}
		}
	}
}

// clientField makes a field of what is known of the client's certificate, where a value is that and nothing else.
func (v *vhost) clientField(c fieldChange) bool {
	what, ok := map[string]string{
		"$ssl_client_verify": "verify", "%{SSL_CLIENT_VERIFY}s": "verify", "%{SSL_CLIENT_VERIFY}e": "verify",
		"$ssl_client_s_dn": "subject", "%{SSL_CLIENT_S_DN}s": "subject", "%{SSL_CLIENT_S_DN}e": "subject",
		"$ssl_client_i_dn": "issuer", "%{SSL_CLIENT_I_DN}s": "issuer", "%{SSL_CLIENT_I_DN}e": "issuer",
		"$ssl_client_serial": "serial", "%{SSL_CLIENT_M_SERIAL}s": "serial", "%{SSL_CLIENT_M_SERIAL}e": "serial",
	}[c.value]
	if !ok || c.do != "set" || v.clients[what] != "" || blockType(blockType(blockType(typeOfFile, "tls"), "client_auth"), "headers") == nil {
		return false
	}
	if v.clients == nil {
		v.clients = map[string]string{}
	}
	v.clients[what] = c.name
	v.clientsBy = append(v.clientsBy, c.d)
	c.d.keep("client_auth { headers { %s } }", what)
	return true
}

// isName reports whether a host is one of the network's names, and no address or a name of this machine's own.
func isName(host string) bool {
	name, port := splitPort(host)
	if port == "" {
		name = host
	}
	_, err := netip.ParseAddr(name)
	return err != nil && strings.Contains(name, ".")
}
