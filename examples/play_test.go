package examples

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"gatehouse/cmd/gatehouse/admin"
)

// stage is an open house and what a flow must know of it.
type stage struct {
	file    string         // its configuration
	at      netip.Addr     // the machine it stands on; invalid: the gateway
	front   netip.AddrPort // where clients go who say nothing else
	tls     netip.AddrPort // … by TLS
	servers []*server      // in the order of the configuration
	roots   *x509.CertPool // who signed the house's certificates
	log     *logLines      // its access log
	start   func() error   // opens it
	close   func() error   // shuts it down
	stop    func()         // makes it shut down, however long that may take, and does not wait

	peek   func(file string) ([]*server, error)     // the servers of a configuration that may be reloaded
	reload func(file string) *admin.Outcome         // puts a configuration in charge
	obey   func(admin.Order) (*admin.Obeyed, error) // does what an operator wants
}

// server is a server of the configuration, played by the flow.
type server struct {
	backend, name, cookie string
	at                    netip.AddrPort   // where requests come
	checkedAt             []netip.AddrPort // where health checks come, if elsewhere
	checks                []string         // first lines of its health checks
}

// player plays a flow. Its own goroutine goes through the steps; one goroutine for each connection collects what comes.
type player struct {
	net    *network
	folder string // of the configurations
	load   func(file string, at netip.Addr) (*stage, error)

	stages  []*stage  // the open houses, in the order they were opened
	stage   *stage    // the last of them
	cast    []*server // their servers, which the flow plays
	clients map[string]*client
	order   []string // names of clients, as they appeared
	it      *server  // who received last
	sent    time.Time
	bell    chan struct{} // something came

	mu     sync.Mutex
	places map[netip.AddrPort]*place
}

// client is who asks.
type client struct {
	name string
	from netip.Addr
	to   netip.AddrPort
	tls  string // the name it asks for, "" in the clear
	now  *end   // the connection it uses
	ends []*end // all of them
	last string // whom its last pick met
}

// end is the flow's end of a connection. in and over are guarded by the player's mu.
type end struct {
	conn  net.Conn
	mem   *memConn // what conn runs over
	in    []byte   // came and not received by a line
	spoke bool     // something came
	over  error    // what ended it, after in
	seen  bool     // a line received the end
	asked []string // methods of the requests it sent that are not answered
}

// newPlayer returns a player on n. load reads a configuration and builds its house on a machine, not yet open.
func newPlayer(n *network, load func(file string, at netip.Addr) (*stage, error)) *player {
	return &player{net: n, load: load, bell: make(chan struct{}, 1)}
}

// play goes through f, from an open house to a closed one.
func (p *player) play(f *flow) error {
	if len(f.steps) == 0 || f.steps[0].verb != "house" {
		if err := p.enter("gatehouse.hcl", netip.Addr{}); err != nil {
			return err
		}
	}
	for i := range f.steps {
		if err := p.step(&f.steps[i]); err != nil {
			p.leave()
			return p.at(&f.steps[i], err)
		}
	}
	err := p.leave()
	if err != nil && len(f.steps) > 0 {
		err = p.at(&f.steps[len(f.steps)-1], fmt.Errorf("at the end: %w", err))
	}
	return err
}

// at says where in the flow err happened.
func (p *player) at(s *step, err error) error {
	place := strconv.Itoa(s.line)
	if s.with != "" {
		place += " (" + s.with + ")"
	}
	return fmt.Errorf("flow:%s: %s: %s: %w", place, s.title, s.text, err)
}

// left reports what came and no line received.
func (p *player) left() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, s := range p.cast {
		for _, e := range p.places[s.at].ends {
			if len(e.in) > 0 {
				errs = append(errs, fmt.Errorf("%s got what no line received: %q", s.name, e.in))
				e.in = nil
			}
		}
	}
	for _, name := range p.order {
		for _, e := range p.clients[name].ends {
			if len(e.in) > 0 {
				errs = append(errs, fmt.Errorf("%s got what no line received: %q", name, e.in))
			}
		}
	}
	return errors.Join(errs...)
}

// ports lists all addresses of a server.
func (s *server) ports() []netip.AddrPort { return append([]netip.AddrPort{s.at}, s.checkedAt...) }

// ring wakes the player.
func (p *player) ring() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

// await waits until ready, which runs with p.mu held, reports true.
func (p *player) await(limit time.Duration, ready func() bool) bool {
	late := time.NewTimer(limit)
	defer late.Stop()
	for over := false; ; {
		synctest.Wait()
		p.mu.Lock()
		ok := ready()
		p.mu.Unlock()
		if ok || over {
			return ok
		}
		select {
		case <-p.bell:
		case <-late.C:
			over = true
		}
	}
}

// collect gathers what comes on e, to its end.
func (p *player) collect(e *end, each func()) {
	b := make([]byte, 32<<10)
	for {
		n, err := e.conn.Read(b)
		p.mu.Lock()
		e.in = append(e.in, b[:n]...)
		e.spoke = e.spoke || n > 0
		e.over = err
		if each != nil {
			each()
		}
		p.mu.Unlock()
		p.ring()
		if err != nil {
			return
		}
	}
}

// client returns the client of that name. A new one comes from an address of its own.
func (p *player) client(name string) *client {
	c := p.clients[name]
	if c == nil {
		n := len(p.order) + 1
		c = &client{name: name, from: netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), to: p.stage.front}
		p.clients[name] = c
		p.order = append(p.order, name)
	}
	return c
}

// connect opens a connection for a client.
func (p *player) connect(c *client) error {
	nc, err := p.net.connect(c.from, c.to)
	if err != nil {
		return err
	}
	e := &end{conn: nc, mem: nc.(*memConn)}
	c.now = e
	c.ends = append(c.ends, e)
	if c.tls != "" {
		tc := tls.Client(nc, &tls.Config{ServerName: c.tls, RootCAs: p.stage.roots, NextProtos: []string{"http/1.1"}})
		if err := tc.Handshake(); err != nil {
			return fmt.Errorf("%s: %w", c.to, err)
		}
		e.conn = tc
	}
	go p.collect(e, nil)
	return nil
}

// put writes b on the client's connection, on a new one if it has none.
func (p *player) put(c *client, b []byte) error {
	p.sent = time.Now()
	if c.now == nil {
		if err := p.connect(c); err != nil {
			return err
		}
	}
	e := c.now
	p.mu.Lock()
	over := e.over
	p.mu.Unlock()
	if over != nil {
		return fmt.Errorf("its connection is over (%v); a line %q opens another", over, c.name+" new")
	}
	_, err := e.conn.Write(b)
	synctest.Wait() // what the next line does comes after it, on whichever loop
	return err
}

// texts puts the runtime's words into a text: $it and $it.cookie.
func (p *player) texts(s string) string {
	if p.it == nil || !strings.Contains(s, "$it") {
		return s
	}
	return strings.NewReplacer("$it.cookie", p.it.cookie, "$it", p.it.name).Replace(s)
}

// spoken returns m with the runtime's words in it.
func (p *player) spoken(m *message) *message {
	if m == nil {
		return nil
	}
	c := *m
	c.target = p.texts(c.target)
	c.fields = slices.Clone(c.fields)
	for i, f := range c.fields {
		if v := p.texts(f.value); v != f.value {
			c.fields[i].value = v
			if f.re != nil {
				re, err := regexp.Compile(v)
				if err != nil {
					re = regexp.MustCompile(regexp.QuoteMeta(v))
				}
				c.fields[i].re = re
			}
		}
	}
	if c.content != nil {
		c.content = []byte(p.texts(string(c.content)))
	}
	return &c
}
