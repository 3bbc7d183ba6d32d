package backend

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/loop"
)

// machine is a server in memory: what it does with a connection. It closes the connection afterwards.
type machine func(nc net.Conn)

// lab is a network of machines by address, and a record of what probers do in it.
type lab struct {
	t *testing.T
	l *loop.Loop

	mu       sync.Mutex // guards what follows; machines run in goroutines
	machines map[string]machine
	dials    []string // "ms address", since the lab began
	changes  []string // "ms server health: why"
	from     []netip.Addr
	begin    time.Time
	running  sync.WaitGroup
}

func newLab(t *testing.T) *lab {
	b := &lab{t: t, l: loop.NewMem(0), machines: map[string]machine{}, begin: time.Now()}
	b.l.OnPanic = func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) }
	return b
}

func (b *lab) ms() int64 { return time.Since(b.begin).Milliseconds() }

// set puts a machine at an address; nil takes it away: connections are refused.
func (b *lab) set(addr string, m machine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.machines[addr] = m
}

// dial connects to a machine.
func (b *lab) dial(l *loop.Loop, d loop.Dial) (*loop.Conn, error) {
	b.mu.Lock()
	b.dials = append(b.dials, fmt.Sprintf("%d %s", b.ms(), d.To))
	b.from = append(b.from, d.From)
	m, there := b.machines[d.To.String()]
	b.mu.Unlock()
	if !there { // a black hole
		l.Sleep(d.Timeout)
		return nil, os.ErrDeadlineExceeded
	}
	if m == nil {
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	here, far := net.Pipe()
	b.running.Go(func() {
		defer far.Close()
		m(far)
	})
	return l.Adapt(here, netip.AddrPort{}, d.To.AddrPort), nil
}

func (b *lab) changed(server int, health standing, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes = append(b.changes, fmt.Sprintf("%d %s %v: %s", b.ms(), letter(server), health, why))
}

// heard returns the changes so far and forgets them.
func (b *lab) heard() (s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s = strings.Join(b.changes, " | ")
	b.changes = nil
	return s
}

func (b *lab) dialled() (d []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, b.dials = b.dials, nil
	return d
}

// sleep lets time pass.
func (b *lab) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *lab) prober(targets ...target) *prober {
	return newProber(b.l, b.dial, nil, 2*time.Second, targets, nil, b.changed)
}

// close stops what runs and waits for it.
func (b *lab) close() {
	b.l.Stop()
	b.running.Wait()
}

func at(addr string, checks ...*Check) target {
	a, err := loop.ParseAddr(addr)
	if err != nil {
		panic(err)
	}
	return target{address: func() loop.Addr { return a }, checks: checks}
}

// httpCheck is the guide's check with its defaults.
func httpCheck() *Check {
	return &Check{Request: "HEAD /index.html HTTP/1.0", Expect: []Statuses{{200, 299}, {300, 399}}, Interval: 2 * time.Second, Rise: 2, Fall: 3}
}

func tcpCheck() *Check {
	return &Check{Kind: CheckTCP, Interval: 2 * time.Second, Rise: 2, Fall: 3}
}

func tlsCheck() *Check {
	return &Check{Kind: CheckTLS, Interval: 2 * time.Second, Rise: 2, Fall: 3}
}

// says answers every request head with s.
func says(s string) machine {
	return func(nc net.Conn) {
		if _, err := readHead(nc); err == nil && s != "" {
			io.WriteString(nc, s)
		}
	}
}

// readHead reads until an empty line.
func readHead(nc net.Conn) (head string, err error) {
	b := make([]byte, 1)
	for !strings.HasSuffix(head, "\r\n\r\n") {
		if _, err := nc.Read(b); err != nil {
			return head, err
		}
		head += string(b)
	}
	return head, nil
}

// holds takes what comes and says nothing.
func holds(nc net.Conn) { io.Copy(io.Discard, nc) }
