package house

import (
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/tlsconf"
)

// openKeeper gives g the Keeper of its certificates, if an acme block needs one: that of the generation before, unless the state directory
// is another one.
func (h *House) openKeeper(g, old *generation) {
	if !slices.ContainsFunc(g.file.TLS, func(c *tlsconf.Config) bool { return c.ACME != nil }) {
		return
	}
	if g.keeper = old.keeper; g.keeper == nil || old.file.Global.StateDir != g.file.Global.StateDir {
		g.keeper = tlsconf.NewKeeper(tlsconf.KeeperOptions{StateDir: g.file.Global.StateDir, Log: h.o.Log, Block: block})
	}
}

// closeKeeper lets go of the Keeper of a generation that ends, if the other one has another.
func closeKeeper(g, other *generation) {
	if g.keeper != nil && g.keeper != other.keeper {
		g.keeper.Close()
	}
}

// block runs f elsewhere while the task of a TLS handshake waits for it. Where there is no task, as in QUIC, whoever shakes hands waits.
func block(c net.Conn, f func()) {
	if c, ok := c.(interface{ Loop() *loop.Loop }); ok {
		c.Loop().Block(f)
		return
	}
	f()
}

// manage has the certificates of g obtained and renewed from now on. The addresses are open.
func (h *House) manage(g *generation) {
	r := g.reach()
	for _, c := range g.certs {
		c.Manage(r)
	}
}

// reach returns where CAs find this machine.
func (g *generation) reach() (r tlsconf.Reach) {
	for _, d := range g.doors {
		if d.n == nil || d.address.Path != "" {
			continue
		}
		a := d.n.Addr()
		at := netip.AddrPortFrom(a.Addr(), a.Port())
		if a.FD != "" { // wherever that is: the port alone is known
			at = netip.AddrPortFrom(netip.Addr{}, a.Port())
		}
		switch {
		case d.tls[0] != "":
			r.TLS = append(r.TLS, at)
		case d.entries[0].Frontend.Mode() == h1.HTTP:
			r.HTTP = append(r.HTTP, at)
		}
	}
	return r
}

// challengeable makes CAs that ask in a TLS handshake whether a host is ours get their answer, whichever certificates the door serves
// otherwise.
func (g *generation) challengeable(c *tls.Config) *tls.Config {
	if g.keeper == nil || c == nil {
		return c
	}
	challenge, choose := g.keeper.ChallengeConfig(), c.GetConfigForClient
	c = c.Clone()
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		switch {
		case tlsconf.IsChallenge(hello):
			return challenge, nil
		case choose != nil:
			return choose(hello)
		}
		return nil, nil
	}
	return c
}

// challenge returns how CAs get their answers that ask in the clear, nil when none will.
func (g *generation) challenge() func(l *loop.Loop, host, path string) (string, bool) {
	k := g.keeper
	if k == nil {
		return nil
	}
	return func(l *loop.Loop, host, path string) (answer string, ok bool) {
		if answer, ok = k.Challenge(host, path, false); !ok && k.Expects(host) {
			l.Block(func() { answer, ok = k.Challenge(host, path, true) })
		}
		return answer, ok
	}
}

// certifiedHosts returns the hosts that the certificates of a block are for: those of the frontends that use it, and its own.
func certifiedHosts(f *config.File, c *tlsconf.Config) (hosts []string) {
	seen := map[string]bool{"*": true}
	for _, host := range append(hostsOf(f, c.Name), c.Hosts...) {
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if !seen[host] {
			seen[host] = true
			hosts = append(hosts, host)
		}
	}
	return hosts
}
