package house

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/frontend"
	"gatehouse/tlsconf"
)

// handed takes out the descriptor of a socket that somebody else has opened for an address, 0 when there is none.
func (h *House) handed(address string) int {
	fd := h.o.Descriptors[address]
	delete(h.o.Descriptors, address)
	return fd
}

// pageAddress is what the page's socket is called among those that are handed over.
func pageAddress(c *admin.Config) string { return "page " + c.Listen.String() }

// ripen waits until the servers of a first configuration have been checked, as a reload does: whoever comes by a socket that listens already is in
// nobody's way meanwhile, and shall find a server.
func (h *House) ripen(g *generation) {
	if len(h.o.Descriptors) == 0 {
		return
	}
	limit := time.NewTimer(readyTime)
	defer limit.Stop()
	for _, p := range g.pools {
		select {
		case <-p.Ready():
		case <-limit.C:
			return
		}
	}
}

// What descriptors are called among those that are handed over that are not of sockets which listen: the UDP socket of an address, and what leads
// to the processes that have connections of HTTP/3 there, by their names.
const (
	udpPrefix    = "udp "
	packetPrefix = "packets "
)

// PacketAddress is what the UDP socket of an address is called among descriptors.
func PacketAddress(address string) string { return udpPrefix + address }

// handedPackets takes out what is there for HTTP/3 on an address.
func (h *House) handedPackets(address string) frontend.Packets {
	p := frontend.Packets{Socket: h.handed(PacketAddress(address)), Elders: map[string]int{}, Wait: h.o.Succeeding}
	for key := range h.o.Descriptors {
		if rest, ok := strings.CutPrefix(key, packetPrefix); ok {
			if name, at, _ := strings.Cut(rest, " "); at == address {
				p.Elders[name] = h.handed(key)
			}
		}
	}
	return p
}

// ticketSecret is what the keys of a tls block's session tickets are called among secrets.
func ticketSecret(name string) string { return "tickets " + name }

// inherited returns the tickets of the process before for a tls block, nil when there are none. Where clients show certificates, the rules for
// those may have changed in between, and they begin anew.
func (h *House) inherited(c *tlsconf.Config) *tlsconf.Tickets {
	b := h.o.Secrets[ticketSecret(c.Name)]
	if b == nil || c.ClientAuth != nil {
		return nil
	}
	t, err := tlsconf.ImportTickets(b)
	if err != nil {
		h.o.Log.Warn("clients cannot resume their sessions", zap.String("tls", c.Name), zap.Error(err))
		return nil
	}
	return t
}

// Succeed is called when the process that served here before has begun to leave: from now on the admin socket is this one's, and the files of
// other sockets are this one's to remove.
func (h *House) Succeed() error {
	h.turn.Lock()
	defer h.turn.Unlock()
	g := h.gen.Load()
	for _, d := range g.doors {
		d.n.Lend(false)
		d.n.Receive()
	}
	h.o.Succeeding = false
	c := g.file.Admin
	if c == nil || c.Socket == "" {
		return nil
	}
	s, err := admin.OpenSocket(c.Socket, true, h.controls(), h.o.Log)
	if err != nil {
		return fmt.Errorf("admin socket: %w", err)
	}
	g.socket = s
	return nil
}

// handOver gives another process all that listens here. When that process serves, this one begins to leave: Options.HandedOver says so, and
// Shutdown follows. Until then no reload begins, and when it comes to nothing, all is as before. From any goroutine that is no loop's.
func (h *House) handOver(give func(*admin.Handover) error) error {
	h.turn.Lock()
	defer h.turn.Unlock()
	switch {
	case h.stopping():
		return errors.New("gatehouse is stopping")
	case h.o.HandedOver == nil:
		return errors.New("nothing is handed over here")
	case h.left.Load():
		return errors.New("another process has taken over already")
	}
	g := h.gen.Load()
	var list []admin.Descriptor
	var loans []*frontend.PacketLoan
	defer func() {
		for _, d := range list {
			d.File.Close()
		}
		for _, p := range loans {
			p.Close()
		}
	}()
	add := func(address string, f *os.File, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
		list = append(list, admin.Descriptor{Address: address, File: f})
		return nil
	}
	for _, d := range g.doors {
		f, err := d.n.Descriptor()
		if err := add(d.address.String(), f, err); err != nil {
			return err
		}
		p, err := d.n.LendPackets()
		if err != nil {
			return fmt.Errorf("%s: %w", d.address, err)
		} else if p == nil {
			continue
		}
		loans = append(loans, p)
		add(PacketAddress(d.address.String()), p.Socket, nil)
		for name, f := range p.Elders {
			add(packetPrefix+name+" "+d.address.String(), f, nil)
		}
	}
	if g.page != nil {
		f, err := g.page.Descriptor()
		if err := add(pageAddress(g.file.Admin), f, err); err != nil {
			return err
		}
	}
	h.o.Log.Info("another process is taking over", zap.Int("sockets", len(list)))
	o := &admin.Handover{Descriptors: list, Secrets: map[string][]byte{}, Stop: h.stop, Yield: func() {
		for _, p := range loans {
			p.Yield()
		}
	}}
	for name, c := range g.certs {
		if c.of.ClientAuth == nil {
			o.Secrets[ticketSecret(name)] = c.Tickets().Export()
		}
	}
	if err := give(o); err != nil {
		h.o.Log.Warn("nobody has taken over; serving on", zap.Error(err))
		return err
	}
	h.left.Store(true)
	h.o.HandedOver()
	return nil
}

// close stops listening at a door, whose socket another process may have by now.
func (h *House) close(n *frontend.Listener) {
	if h.left.Load() {
		n.Leave()
	} else {
		n.Shutdown()
	}
}
