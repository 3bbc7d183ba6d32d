//go:build !linux

package loop

import (
	"errors"
	"net/netip"
	"os"
)

// poller without epoll: every connection is served by goroutines.
type poller struct{ memory }

// New starts a loop. id is the number rooms know it by: 0, 1, 2 and so on.
func New(id int) (*Loop, error) { return NewMem(id), nil }

func (p *poller) ring() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}
func (p *poller) wait(l *Loop, busy bool) { p.waitMem(l, busy) }
func (p *poller) closeAll()               { p.closeAdapted() }
func (p *poller) close()                  {}

func (c *Conn) recv([]byte) (int, error)    { return 0, ErrClosed }
func (c *Conn) sendmsg([]byte) (int, error) { return 0, ErrClosed }
func (c *Conn) closeSocket()                {}
func (n *Listener) file() (*os.File, error) { return nil, errors.ErrUnsupported }
func (c *Conn) resetOnClose()               { c.s.resetOnClose() }
func (c *Conn) sockname() netip.AddrPort    { return netip.AddrPort{} }

func (c *Conn) shutdownWrite() error {
	c.s.out <- nil
	return nil
}

// Adopt makes the loop the owner of a connection.
func (l *Loop) Adopt(s Socket) (*Conn, error) { return l.Adapt(s.nc, s.Local, s.Remote), nil }

// Close closes a connection nobody adopted.
func (s Socket) Close() { s.nc.Close() }

// Dial connects and parks meanwhile.
func (l *Loop) Dial(d Dial) (*Conn, error) { return l.dialNet(d) }

// Listen listens on an address and calls accept on the loop for each connection.
func (l *Loop) Listen(a Addr, accept func(Socket)) (*Listener, error) { return l.listenNet(a, accept) }

func (n *Listener) closeSocket() { n.nl.Close() }

// Splice moves bytes from src to dst until src ends and returns how many. It parks.
func Splice(dst, src *Conn) (int64, error) { return spliceCopy(dst, src) }

// Run is not needed here: a goroutine accepts.
func (n *Listener) Run() {}
