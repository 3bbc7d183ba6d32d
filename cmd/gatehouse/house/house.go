// Package house assembles a configuration: it builds certificates, logs, pools of servers and frontends, joins them, and opens and closes the
// addresses. It alone knows all the rooms.
//
//	h, err := house.New(file, house.Options{Loops: loops, Log: log})
//	err = h.Start()
//	...
//	h.Shutdown(ctx)
package house

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"go.uber.org/zap"

	"gatehouse/backend"
	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/frontend"
	"gatehouse/tlsconf"
)

// Options are what a house stands on.
type Options struct {
	// Loops do the work. The caller starts and stops them.
	Loops []*loop.Loop
	// Listen and Dial replace the network. nil: the real one.
	Listen func(l *loop.Loop, a loop.Addr, accept func(loop.Socket)) (io.Closer, error)
	Dial   func(l *loop.Loop, d loop.Dial) (*loop.Conn, error)
	// Resolve finds the addresses of servers given by name. nil: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Log is told what an operator wants to know. nil: nobody is.
	Log *zap.Logger
	// AccessLog gets the lines of logs whose output is "stdout". nil: the real one.
	AccessLog io.Writer
	// Watch replaces the watching of certificate files (tlsconf.Config.Watch).
	Watch func(ctx context.Context, dirs []string, changed func()) error
}

// House is a configuration at work.
type House struct {
	file      *config.File
	o         Options
	process   frontend.Cap
	cancel    context.CancelFunc
	certs     map[string]*tlsconf.Certificates
	logs      map[string]*frontend.Log
	pools     map[string]*backend.Pool
	fronts    []*frontend.Frontend
	doors     []*door
	listeners []*frontend.Listener
}

// door is an address to be opened, and the frontends behind it.
type door struct {
	address *loop.Addr // in the configuration, where errors point
	free    bool       // freebind
	entries []frontend.Entry
	tls     []string // of each entry, "" for plain HTTP
}

// New builds the house of a configuration without errors. Nothing is opened yet, but files are.
func New(f *config.File, o Options) (*House, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	h := &House{file: f, o: o, certs: map[string]*tlsconf.Certificates{}, logs: map[string]*frontend.Log{}, pools: map[string]*backend.Pool{}}
	h.process.SetMax(f.Global.MaxConnections)
	var ctx context.Context
	ctx, h.cancel = context.WithCancel(context.Background())
	err := errors.Join(h.openLogs(), h.loadCertificates(ctx), h.buildPools())
	if err != nil {
		h.release()
		return nil, err
	}
	h.buildFronts()
	return h, nil
}

// at says where in the configuration an error comes from.
func (h *House) at(field any, err error) error {
	if r := h.file.Range(field); r.Filename != "" {
		return fmt.Errorf("%s:%d: %w", r.Filename, r.Start.Line, err)
	}
	return err
}

func (h *House) openLogs() error {
	var errs []error
	for _, c := range h.file.Logs {
		report := func(msg string) { h.o.Log.Warn(msg, zap.String("log", c.Name)) }
		var log *frontend.Log
		var err error
		if h.o.AccessLog != nil && c.Output == "stdout" {
			log = frontend.NewLog(c, h.o.AccessLog, report)
		} else {
			log, err = frontend.OpenLog(c, report)
		}
		if err != nil {
			errs = append(errs, h.at(&c.Output, err))
			continue
		}
		h.logs[c.Name] = log
	}
	return errors.Join(errs...)
}

func (h *House) loadCertificates(ctx context.Context) error {
	var errs []error
	for _, c := range h.file.TLS {
		own := *c
		own.StateDir, own.Watch = h.file.Global.StateDir, h.o.Watch
		if own.Internal && len(own.Hosts) == 0 {
			own.Hosts = h.hostsOf(c.Name)
		}
		certs, err := tlsconf.New(ctx, &own, h.o.Log)
		if err != nil {
			errs = append(errs, h.at(c, err))
			continue
		}
		h.certs[c.Name] = certs
	}
	return errors.Join(errs...)
}

// hostsOf returns the hosts of the frontends that use a tls block.
func (h *House) hostsOf(name string) (hosts []string) {
	for _, f := range h.file.Frontends {
		if slices.ContainsFunc(f.Binds, func(b *frontend.Bind) bool { return b.TLS == name }) {
			hosts = append(hosts, f.Hosts...)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func (h *House) buildPools() error {
	var errs []error
	for _, c := range h.file.Backends {
		p, err := backend.New(c, backend.Options{Loops: h.o.Loops, Dial: h.o.Dial, Resolve: h.o.Resolve, Log: h.o.Log})
		if err != nil {
			errs = append(errs, h.at(c, err))
			continue
		}
		h.pools[c.Name] = p
	}
	return errors.Join(errs...)
}

func (h *House) buildFronts() {
	for _, c := range h.file.Frontends {
		o := frontend.Options{
			Backend: func(name string) h1.RoundTripper { return h.pools[name] },
			Log:     h.logs[c.Log],
			Process: &h.process,
		}
		var next h1.RoundTripper
		if p := h.pools[c.Backend]; p != nil {
			next = p
			o.Usable, o.HTTPClose, o.Timeouts = p.Usable, p.HTTPClose(), p.Timeouts()
		}
		f := frontend.New(c, next, o)
		h.fronts = append(h.fronts, f)
		for _, b := range c.Binds {
			h.open(f, b)
		}
	}
}

// open adds a frontend to the door of an address.
func (h *House) open(f *frontend.Frontend, b *frontend.Bind) {
	e := frontend.Entry{Frontend: f, Redirect: b.Redirect != ""}
	for _, d := range h.doors {
		if *d.address == b.Address {
			d.entries, d.tls = append(d.entries, e), append(d.tls, b.TLS)
			return
		}
	}
	h.doors = append(h.doors, &door{address: &b.Address, free: b.Freebind, entries: []frontend.Entry{e}, tls: []string{b.TLS}})
}

// tlsOf returns what a door speaks: nil for plain HTTP. Where frontends with certificates of their own share it, the name the client
// asks for decides.
func (h *House) tlsOf(d *door) *tls.Config {
	if d.tls[0] == "" {
		return nil
	}
	first := h.certs[d.tls[0]].Config()
	if len(slices.Compact(slices.Clone(d.tls))) == 1 {
		return first
	}
	c := first.Clone()
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		best, most := 0, 0
		for i, e := range d.entries {
			if m := e.Frontend.Serves(hello.ServerName); m > most {
				best, most = i, m
			}
		}
		return h.certs[d.tls[best]].Config(), nil
	}
	return c
}

// Start begins to check servers and opens every address. When one cannot be opened, none stays open.
func (h *House) Start() error {
	for _, p := range h.pools {
		p.Start()
	}
	var errs []error
	for _, d := range h.doors {
		n, err := frontend.Listen(frontend.ListenConfig{
			Address: *d.address, Freebind: d.free, Entries: d.entries, TLS: h.tlsOf(d), Loops: h.o.Loops, Listen: h.o.Listen,
			OnError: func(err error) { h.o.Log.Error("connections are not accepted for a moment", zap.Error(err)) },
		})
		if err != nil {
			errs = append(errs, h.at(d.address, fmt.Errorf("listen on %s: %w", d.address, err)))
			continue
		}
		h.listeners = append(h.listeners, n)
	}
	if len(errs) > 0 {
		h.close()
	}
	return errors.Join(errs...)
}

// Addresses returns the open addresses, in the order of the configuration.
func (h *House) Addresses() (list []loop.Addr) {
	for _, n := range h.listeners {
		list = append(list, n.Addr())
	}
	return list
}

// Certificates returns those of a tls block, nil when there is no such block.
func (h *House) Certificates(name string) *tlsconf.Certificates { return h.certs[name] }

// Pool returns the pool of a backend, nil when there is no such block.
func (h *House) Pool(name string) *backend.Pool { return h.pools[name] }

// ReopenLogs opens log files anew, after they were moved away.
func (h *House) ReopenLogs() {
	for name, l := range h.logs {
		if err := l.Reopen(); err != nil {
			h.o.Log.Error("log not reopened", zap.String("log", name), zap.Error(err))
		}
	}
}

// Connections returns how many clients are connected.
func (h *House) Connections() int { return h.process.Count() }

// Shutdown stops listening and waits for the exchanges under way, until ctx ends: then they are cut. It returns ctx's error if
// any were.
func (h *House) Shutdown(ctx context.Context) error {
	for _, n := range h.listeners {
		n.Shutdown()
	}
	done := make(chan struct{})
	go func() {
		for _, n := range h.listeners {
			n.Wait()
		}
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		for _, n := range h.listeners {
			n.Abort()
		}
		<-done
	}
	h.close()
	return err
}

// close ends everything that is not a connection of a client.
func (h *House) close() {
	for _, n := range h.listeners {
		n.Abort()
		n.Wait()
	}
	for _, p := range h.pools {
		p.Close()
	}
	h.release()
}

// release lets go of certificates and logs.
func (h *House) release() {
	h.cancel()
	for _, c := range h.certs {
		c.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), logFlush)
	defer cancel()
	for _, l := range h.logs {
		l.Close(ctx)
	}
}
