package house

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/frontend"
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

// Succeed is called when the process that served here before has begun to leave: from now on the admin socket is this one's, and the files of
// other sockets are this one's to remove.
func (h *House) Succeed() error {
	h.turn.Lock()
	defer h.turn.Unlock()
	g := h.gen.Load()
	for _, d := range g.doors {
		d.n.Lend(false)
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
func (h *House) handOver(give func(list []admin.Descriptor, stop <-chan struct{}) error) error {
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
	defer func() {
		for _, d := range list {
			d.File.Close()
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
	}
	if g.page != nil {
		f, err := g.page.Descriptor()
		if err := add(pageAddress(g.file.Admin), f, err); err != nil {
			return err
		}
	}
	h.o.Log.Info("another process is taking over", zap.Int("sockets", len(list)))
	if err := give(list, h.stop); err != nil {
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
