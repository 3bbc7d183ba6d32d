// Package house assembles a configuration: it builds certificates, logs, pools of servers and frontends, joins them, and opens and closes the
// addresses. It alone knows all the rooms. A configuration at work is a generation; a reload builds the next one beside it and, when
// nothing can fail any more, puts it in charge.
//
//	h, err := house.New(file, house.Options{Loops: loops, Log: log})
//	err = h.Start()
//	...
//	outcome := h.Reload()
//	...
//	h.Shutdown(ctx)
package house

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"gatehouse/backend"
	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/admin"
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

	// Version and Configuration are what a status says: of the program, and the files and directories the configuration came from.
	Version       string
	Configuration []string
	// Load reads the configuration anew, for Reload. nil: there is nothing to reload.
	Load func() (*config.File, *config.Diagnostics)
	// Descriptors are listening sockets that somebody else has opened, by the address they listen on. The house takes those out that it has
	// a use for, and leaves the files of unix sockets among them to that somebody.
	Descriptors map[string]int
	// Secrets are those of the process that served before, by name.
	Secrets map[string][]byte
	// Succeeding says that another process still serves on these sockets: Succeed is called when it has begun to leave.
	Succeeding bool
	// HandedOver is called when another process has taken over from this one, which is to be shut down then. nil: none may.
	HandedOver func()
	// Opened is called by Start when every address is open and everything is ready, and before anybody is let in: the last moment to do what
	// takes the rights the process was started with. When it fails, so does Start. nil: there is nothing to do.
	Opened func() error
	// Reloading is called when a reload begins, Reloaded when it has ended: was and is are the configurations that served before and serve
	// now, one and the same when it was refused. They are never called at once. nil: nobody wants to know.
	Reloading func()
	Reloaded  func(was, is *config.File)
}

// House is a configuration at work, and after a reload the next one.
type House struct {
	o         Options
	process   frontend.Cap
	started   time.Time
	gen       atomic.Pointer[generation]
	wishes    *wishes
	cookieKey cookieKey
	http3Key  http3Key

	smallBuffers sync.Once // its word was said
	probes       backend.Probes
	left         atomic.Bool // another process listens in this one's place

	refusals refusals

	ctx    context.Context // ends when nothing of the house shall go on
	cancel context.CancelFunc
	after  sync.WaitGroup // what is left to do for generations of the past

	turn sync.Mutex    // who reloads, starts or shuts down
	stop chan struct{} // closed when the house shall end: no reload from then on

	mu       sync.Mutex // guards what follows
	waiting  *reload    // asked for and not begun
	last     *admin.Outcome
	done     uint64 // reloads
	refused  uint64 // reloads
	retiring map[*frontend.Listener]bool
}

// New builds the house of a configuration without errors. Nothing is opened yet, but files are.
func New(f *config.File, o Options) (*House, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	h := &House{o: o, started: time.Now(), stop: make(chan struct{}), retiring: map[*frontend.Listener]bool{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.process.SetMax(f.Global.MaxConnections)
	h.wishes = newWishes(f.Global.StateDir, o.Log)
	g, faults := h.build(f, nil)
	if len(faults) > 0 {
		h.cancel()
		return nil, faults.in(f)
	}
	h.gen.Store(g)
	return h, nil
}

// Start begins to check servers and opens every address. When one cannot be opened, none stays open.
func (h *House) Start() error {
	h.turn.Lock()
	defer h.turn.Unlock()
	g := h.gen.Load()
	h.wishes.prune(g.file)
	h.wishes.apply(g.pools)
	for _, p := range g.pools {
		p.Start()
	}
	h.ripen(g)
	if faults := h.open(g, nil); len(faults) > 0 {
		h.end()
		return faults.in(g.file)
	}
	if h.o.Opened != nil {
		if err := h.o.Opened(); err != nil {
			h.end()
			return err
		}
		for _, d := range g.doors {
			d.n.Open()
		}
	}
	g.takeOver() // not before rights were given away: what is made in a directory shall be whose it will be
	h.manage(g)
	return nil
}

// Addresses returns the open addresses, in the order of the configuration.
func (h *House) Addresses() (list []loop.Addr) {
	for _, d := range h.gen.Load().doors {
		if d.n != nil {
			list = append(list, d.n.Addr())
		}
	}
	return list
}

// Certificates returns those of a tls block, nil when there is no such block.
func (h *House) Certificates(name string) *tlsconf.Certificates {
	if c := h.gen.Load().certs[name]; c != nil {
		return c.Certificates
	}
	return nil
}

// Pool returns the pool of a backend, nil when there is no such block.
func (h *House) Pool(name string) *backend.Pool { return h.gen.Load().pools[name] }

// Configuration returns the configuration that serves.
func (h *House) Configuration() *config.File { return h.gen.Load().file }

// Generation returns how many configurations have served, this one included.
func (h *House) Generation() int { return h.gen.Load().number }

// ReopenLogs opens log files anew, after they were moved away.
func (h *House) ReopenLogs() {
	for name, l := range h.gen.Load().logs {
		if err := l.Reopen(); err != nil {
			h.o.Log.Error("log not reopened", zap.String("log", name), zap.Error(err))
		}
	}
}

// Connections returns how many clients are connected.
func (h *House) Connections() int { return h.process.Count() }
