package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"gatehouse/backend"
	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
)

// demoApps are the servers of a configuration, played on loopback, and the network that leads to them.
type demoApps struct {
	out   io.Writer
	hosts map[string]netip.Addr // of servers given by name, an address that stands for them
	list  []*demoApp

	mu sync.Mutex
	at map[string]*demoApp // by the address of the configuration, checks' ports included
}

// demoApp is a small application. Servers of one address are one application.
type demoApp struct {
	apps   *demoApps
	name   string
	checks map[string]bool // "METHOD URI" of its health checks: nothing to tell about

	// Guarded by the mutex of apps.
	real   netip.AddrPort
	server *http.Server // nil: stopped
}

// newDemoApps makes the servers of f. What they receive is told on out.
func newDemoApps(f *config.File, out io.Writer) *demoApps {
	a := &demoApps{out: out, hosts: map[string]netip.Addr{}, at: map[string]*demoApp{}}
	for _, b := range f.Backends {
		for _, s := range b.Servers {
			at := a.literal(s.Address)
			app := a.at[at.String()]
			if app == nil {
				app = &demoApp{apps: a, name: s.Name, checks: map[string]bool{}}
				a.list = append(a.list, app)
				a.at[at.String()] = app
			}
			for _, c := range slices.Concat(b.Checks, s.Checks) {
				app.checked(c)
				if c.Address != nil {
					a.at[a.literal(*c.Address).String()] = app
				} else if c.Port != 0 {
					a.at[at.WithPort(uint16(c.Port)).String()] = app
				}
			}
		}
	}
	return a
}

// literal returns the address that is dialled for a.
func (a *demoApps) literal(at loop.Addr) loop.Addr {
	if at.Host == "" {
		return at
	}
	ip, ok := a.hosts[at.Host]
	if !ok {
		n := len(a.hosts) + 1
		ip = netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}) // RFC 2544: for tests
		a.hosts[at.Host] = ip
	}
	return loop.Addr{AddrPort: netip.AddrPortFrom(ip, at.Port())}
}

func (p *demoApp) checked(c *backend.Check) {
	if words := strings.Fields(c.Request); len(words) > 1 {
		p.checks[words[0]+" "+words[1]] = true
	}
}

// resolve finds the address that stands for a server given by name.
func (a *demoApps) resolve(_ context.Context, host string) ([]netip.Addr, error) {
	ip, ok := a.hosts[host]
	if !ok {
		return nil, fmt.Errorf("%s: no server of this demo", host)
	}
	return []netip.Addr{ip}, nil
}

// dial leads the house to the applications. It is the house's Dial.
func (a *demoApps) dial(l *loop.Loop, d loop.Dial) (*loop.Conn, error) {
	a.mu.Lock()
	app, to := a.at[d.To.String()], netip.AddrPort{}
	if app == nil { // a server without a port is there at each
		app = a.at[d.To.WithPort(0).String()]
	}
	if app != nil && app.server != nil {
		to = app.real
	}
	a.mu.Unlock()
	if !to.IsValid() {
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	return l.Dial(loop.Dial{To: loop.Addr{AddrPort: to}, Timeout: d.Timeout})
}

// open starts all applications.
func (a *demoApps) open() error {
	for _, app := range a.list {
		if err := app.start(); err != nil {
			a.close()
			return err
		}
	}
	return nil
}

// close stops all applications.
func (a *demoApps) close() {
	for _, app := range a.list {
		app.stop()
	}
}

// names lists the applications.
func (a *demoApps) names() (names []string) {
	for _, app := range a.list {
		names = append(names, app.name)
	}
	return names
}

// toggle stops or starts the application of that name and says what it did.
func (a *demoApps) toggle(name string) string {
	i := slices.IndexFunc(a.list, func(app *demoApp) bool { return app.name == name })
	if i < 0 {
		return fmt.Sprintf("%s is no server; there are %s", name, strings.Join(a.names(), " "))
	}
	if a.list[i].stop() {
		return name + " is stopped"
	}
	if err := a.list[i].start(); err != nil {
		return fmt.Sprintf("%s does not start: %v", name, err)
	}
	return name + " is started"
}

// start makes the application listen on a free port.
func (p *demoApp) start() error {
	n, err := net.Listen("tcp", loopback.String())
	if err != nil {
		return err
	}
	p.apps.mu.Lock()
	defer p.apps.mu.Unlock()
	p.real = n.Addr().(*net.TCPAddr).AddrPort()
	p.server = &http.Server{Handler: p}
	go p.server.Serve(tlsAware{n})
	return nil
}

// tlsAware is a listener for plain HTTP that knows a TLS hello when it sees one, as the check "tls" sends it.
type tlsAware struct{ net.Listener }

// Accept implements net.Listener.
func (l tlsAware) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &maybeTLS{Conn: c}, nil
}

// maybeTLS is a connection whose first byte says what it is.
type maybeTLS struct {
	net.Conn
	known bool
}

// Read implements net.Conn. A TLS hello is answered with an alert: somebody is here who knows TLS, if only to refuse it.
func (c *maybeTLS) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n == 0 || c.known {
		return n, err
	}
	c.known = true
	if b[0] == 0x16 { // a handshake record (RFC 8446 5.1)
		io.WriteString(c.Conn, "\x15\x03\x03\x00\x02\x02\x28") // fatal alert handshake_failure
		c.Conn.Close()
		return 0, io.EOF
	}
	return n, err
}

// stop ends the application and breaks its connections. It reports whether there was anything to end.
func (p *demoApp) stop() bool {
	p.apps.mu.Lock()
	s := p.server
	p.server = nil
	p.apps.mu.Unlock()
	if s == nil {
		return false
	}
	s.Close()
	return true
}

// ServeHTTP answers with the name of the application and what it received.
func (p *demoApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.checks[r.Method+" "+r.RequestURI] {
		note := ""
		for _, name := range []string{"X-Forwarded-For", "Cookie"} {
			if v := r.Header.Values(name); len(v) > 0 {
				note += "  " + name + ": " + strings.Join(v, ", ")
			}
		}
		fmt.Fprintf(p.apps.out, "%-8s <- %s %s%s\n", p.name, r.Method, r.RequestURI, note)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%s received\n\n%s %s %s\nHost: %s\n", p.name, r.Method, r.RequestURI, r.Proto, r.Host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, v := range r.Header[name] {
			fmt.Fprintf(w, "%s: %s\n", name, v)
		}
	}
}
