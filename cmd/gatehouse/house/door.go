package house

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/frontend"
)

// door is an address, and the frontends behind it.
type door struct {
	address *loop.Addr // in the configuration, where errors point
	free    bool       // freebind
	entries []frontend.Entry
	tls     []string           // of each entry, "" for plain HTTP
	http3   bool               // over UDP too
	proxies []netip.Prefix     // who begins with a PROXY header, the same for each entry
	protos  []string           // what is spoken, the preferred protocol first, the same for each entry
	grace   time.Duration      // how long it stays open after the end was announced
	n       *frontend.Listener // nil until it is open
}

// bind adds a frontend to the door of an address.
func (g *generation) bind(f *frontend.Frontend, b *frontend.Bind) {
	e := frontend.Entry{Frontend: f, Redirect: b.Redirect != ""}
	if c := g.certs[b.TLS]; c != nil {
		e.Policy, e.HSTS = c.policy, c.hsts
	}
	grace := f.Grace()
	for _, d := range g.doors {
		if *d.address == b.Address {
			d.entries, d.tls, d.grace = append(d.entries, e), append(d.tls, b.TLS), max(d.grace, grace)
			return
		}
	}
	g.doors = append(g.doors, &door{address: &b.Address, free: b.Freebind, entries: []frontend.Entry{e}, tls: []string{b.TLS},
		http3: b.HTTP3, proxies: b.AcceptProxy, protos: b.Speaks(), grace: grace})
}

// listener returns what listens on an address, nil when nothing does.
func (g *generation) listener(a *loop.Addr) *frontend.Listener {
	for _, d := range g.doors {
		if *d.address == *a {
			return d.n
		}
	}
	return nil
}

// tlsOf returns what a door speaks: nil for plain HTTP. Where frontends with certificates of their own share it, the name the client
// asks for decides.
func (g *generation) tlsOf(d *door) *tls.Config {
	if d.tls[0] == "" {
		return nil
	}
	configOf := func(name string) *tls.Config {
		if d.entries[0].Frontend.Mode() == h1.TCP {
			return g.certs[name].ConfigFor() // what is spoken inside is between the client and the server
		}
		return g.certs[name].ConfigFor(d.protos...)
	}
	return d.choose(configOf)
}

// quicOf returns what a door speaks over UDP, nil for nothing.
func (g *generation) quicOf(d *door) *tls.Config {
	if !d.http3 {
		return nil
	}
	return d.choose(func(name string) *tls.Config { return g.certs[name].ConfigFor("h3") })
}

// choose makes one TLS configuration of those of the entries' tls blocks.
func (d *door) choose(configOf func(name string) *tls.Config) *tls.Config {
	first := configOf(d.tls[0])
	if len(slices.Compact(slices.Clone(d.tls))) == 1 {
		return first
	}
	configs := make([]*tls.Config, len(d.tls))
	for i, name := range d.tls {
		configs[i] = configOf(name)
	}
	c := first.Clone()
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		own := configs[frontend.Choose(d.entries, hello.ServerName)]
		if own.GetConfigForClient != nil { // it asks for certificates
			return own.GetConfigForClient(hello)
		}
		return own, nil
	}
	return c
}

// listen returns how a door is opened.
func (h *House) listen(g *generation, d *door) frontend.ListenConfig {
	return frontend.ListenConfig{
		Address: *d.address, Freebind: d.free, Entries: d.entries, TLS: g.challengeable(g.tlsOf(d)), HTTP3: g.quicOf(d), AcceptProxy: d.proxies, Loops: h.o.Loops, Listen: h.o.Listen,
		Secret:    g.secret,
		H2C:       slices.Contains(d.protos, frontend.ProtocolHTTP2),
		OnError:   func(err error) { h.o.Log.Error("connections are not accepted for a moment", zap.Error(err)) },
		OnRefusal: h.tellRefusal,
	}
}

// open opens every address of g that is not open in old already, and holds back whoever comes there. When there is no old, nobody is held
// back. What could be opened stays open when others could not: that is the caller's to close.
func (h *House) open(g, old *generation) (bad faults) {
	for _, d := range g.doors {
		if old != nil {
			if d.n = old.listener(d.address); d.n != nil {
				c := h.listen(g, d)
				if err := d.n.Prepare(&c); err != nil {
					bad.add(d.address, fmt.Errorf("listen on %s: %w", d.address, err), addressRemedy(err))
				}
				in, out := d.n.PacketBuffers()
				h.tellBuffers(d.n.Addr(), in, out)
				continue
			}
		}
		c := h.listen(g, d)
		c.Hold, c.Handed = old != nil || h.o.Opened != nil, h.handed(d.address.String())
		if d.http3 {
			c.Packets = h.handedPackets(d.address.String())
		} else if h.o.Succeeding {
			_, c.HadHTTP3 = h.o.Descriptors[PacketAddress(d.address.String())]
		}
		n, err := frontend.Listen(c)
		if old != nil && errors.Is(err, syscall.EADDRINUSE) {
			// It may be part of an address that is given up, or the other way round. The kernel takes the second one only when the first
			// is closed: whoever knocks in that moment is turned away.
			for _, o := range g.givenUp(old, d) {
				o.n.Yield()
				g.yielded = append(g.yielded, o.n)
			}
			n, err = frontend.Listen(c)
		}
		if err != nil {
			bad.add(d.address, fmt.Errorf("listen on %s: %w", d.address, err), addressRemedy(err))
			continue
		}
		d.n = n
		if c.Handed != 0 {
			n.Lend(true)
		}
		in, out := n.PacketBuffers()
		h.tellBuffers(n.Addr(), in, out)
	}
	if old == nil {
		old = &generation{}
	}
	h.openAdmin(g, old, &bad)
	return bad
}

// givenUp returns the doors of old that g has not, with the port of d.
func (g *generation) givenUp(old *generation, d *door) (list []*door) {
	for _, o := range old.doors {
		kept := slices.ContainsFunc(g.doors, func(x *door) bool { return *x.address == *o.address })
		if !kept && d.address.Port() != 0 && o.address.Port() == d.address.Port() && !slices.Contains(g.yielded, o.n) {
			list = append(list, o)
		}
	}
	return list
}

// openAdmin opens the socket and the page, if they are not the same as before.
func (h *House) openAdmin(g, old *generation, bad *faults) {
	c, was := g.file.Admin, &admin.Config{}
	if old.file != nil && old.file.Admin != nil {
		was = old.file.Admin
	}
	if c == nil {
		return
	}
	switch {
	case old.socket != nil && was.Socket == c.Socket:
		g.socket = old.socket
	case h.o.Succeeding: // see Succeed
	case c.Socket != "":
		s, err := admin.OpenSocket(c.Socket, false, h.controls(), h.o.Log)
		if err != nil {
			bad.add(&c.Socket, fmt.Errorf("admin socket: %w", err), "Name a path in a directory gatehouse may write to, which no other gatehouse uses.")
			break
		}
		g.socket = s
	}
	switch {
	case old.page != nil && was.Listen == c.Listen:
		g.page = old.page
	case c.Listen.Valid():
		p, err := admin.OpenPage(c.Listen, h.handed(pageAddress(c)), h.Status, h.o.Log)
		if err != nil {
			bad.add(&c.Listen, fmt.Errorf("listen on %s: %w", c.Listen, err), addressRemedy(err))
			break
		}
		g.page = p
	}
}

// controls are what the admin socket may do.
func (h *House) controls() admin.Process {
	return admin.Process{Status: h.Status, Reload: h.Reload, Obey: h.Obey, Purge: h.Purge, List: h.List, HandOver: h.handOver,
		Certificates: h.Certified, Certificate: h.ShowCertificate, Renew: h.RenewCertificates,
		ImportCertificate: h.ImportCertificate, ExportCertificate: h.ExportCertificate}
}
