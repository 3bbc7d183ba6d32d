package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/backend/loop"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/house"
	"gatehouse/examples"
	"gatehouse/frontend"
)

// demoFolder is the example that demo plays when none is named.
const demoFolder = "3-https"

func demoCommand() *cobra.Command {
	var limit time.Duration
	c := &cobra.Command{
		Use:   "demo [FOLDER]",
		Short: "Play a whole site on this machine, servers included",
		Long: `Demo takes the gatehouse.hcl of a folder as it stands and plays its site on loopback: every address of the configuration
becomes a free port of 127.0.0.1, and every server a small application that says its name and what it received. Missing certificates
are replaced by those of a CA of its own. FOLDER is a directory, or the name of a built-in example (default ` + demoFolder + `).

It prints commands to try, then one line for each request a server gets. A line with a server's name on stdin stops that
server, or starts it again. Ctrl-C ends the demo.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			folder := demoFolder
			if len(args) > 0 {
				folder = args[0]
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if limit > 0 {
				ctx, stop = context.WithTimeout(ctx, limit)
				defer stop()
			}
			dir, err := os.MkdirTemp("", "gatehouse-demo-")
			if err != nil {
				return failed(err)
			}
			defer os.RemoveAll(dir)
			file, err := demoConfig(c.ErrOrStderr(), folder, dir)
			if err != nil {
				return err
			}
			out := &wholeWrites{w: c.OutOrStdout()}
			d := &demo{file: file, out: out, apps: newDemoApps(file, out), opened: map[string]netip.AddrPort{}}
			return failed(d.play(ctx, c))
		},
	}
	c.Flags().DurationVar(&limit, "for", 0, "end after this `TIME`, such as 5s (default: never)")
	return c
}

// demoConfig loads the configuration of a folder. That of a built-in example is unpacked into dir.
func demoConfig(talk io.Writer, folder, dir string) (*config.File, error) {
	name := filepath.Join(folder, "gatehouse.hcl")
	if _, err := os.Stat(name); err != nil {
		text, builtin := examples.FS.ReadFile(path.Join(folder, "gatehouse.hcl"))
		if builtin != nil {
			return nil, &failure{exitInvalid, fmt.Errorf("%w, and no built-in example is called %s (there are %s)", err, folder, strings.Join(demoNames(), ", "))}
		}
		name = filepath.Join(dir, "gatehouse.hcl")
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return nil, failed(err)
		}
	}
	file, diags := config.Load([]string{name}, config.Options{})
	if err := diags.Print(talk); err != nil {
		return nil, failed(err)
	}
	if diags.HasErrors() {
		return nil, &failure{exitInvalid, nil}
	}
	file.Global.StateDir = filepath.Join(dir, "state")
	if file.Admin != nil { // not that of the gatehouse that may serve this machine
		file.Admin.Socket, file.Admin.Listen = filepath.Join(dir, "admin.sock"), loop.Addr{}
	}
	for _, t := range file.TLS {
		if t.ACME != nil {
			fmt.Fprintf(talk, "tls %q: no CA is asked: one of the demo's own stands in\n", t.Name)
			t.ACME, t.Internal, t.Certificate, t.Key = nil, true, "", ""
			continue
		}
		for _, f := range []string{t.Certificate, t.Key} {
			if _, err := os.Stat(f); f != "" && err != nil {
				fmt.Fprintf(talk, "tls %q: there is no %s: a CA of the demo's own stands in\n", t.Name, filepath.Base(f))
				t.Internal, t.Certificate, t.Key = true, "", ""
				break
			}
		}
	}
	return file, nil
}

// demoNames lists the built-in examples.
func demoNames() (names []string) {
	entries, err := examples.FS.ReadDir(".")
	if err != nil {
		panic(err) // a directory that is part of this program
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// demo is a site on loopback.
type demo struct {
	file   *config.File
	out    io.Writer
	apps   *demoApps
	opened map[string]netip.AddrPort // by the address of the configuration, where the house listens
}

// play opens the site and returns when ctx ends.
func (d *demo) play(ctx context.Context, c *cobra.Command) error {
	log := newLogger(c)
	defer log.Sync()
	if err := d.apps.open(); err != nil {
		return err
	}
	defer d.apps.close()
	loops, stop, err := house.StartLoops(log)
	if err != nil {
		return err
	}
	defer stop()
	h, err := house.New(d.file, house.Options{
		Loops: loops, Log: log, AccessLog: d.out,
		Listen: d.listen, Dial: d.apps.dial, Resolve: d.apps.resolve,
	})
	if err != nil {
		return err
	}
	if err := h.Start(); err != nil {
		return err
	}
	d.settle(ctx, h)
	d.invite(h)
	go d.obey(c.InOrStdin(), c.ErrOrStderr())
	<-ctx.Done()
	grace, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := h.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// listen opens a free port of loopback in place of an address. It is called before Start returns, by one goroutine.
func (d *demo) listen(l *loop.Loop, a loop.Addr, accept func(loop.Socket)) (io.Closer, error) {
	n, err := l.Listen(loop.Addr{AddrPort: loopback}, accept)
	if err != nil {
		return nil, err
	}
	d.opened[a.String()] = n.Addr().AddrPort
	return n, nil
}

// loopback is a free port of this machine.
var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// settle waits until every server was checked: a moment, or no longer than a server may take to answer.
func (d *demo) settle(ctx context.Context, h *house.House) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, b := range d.file.Backends {
		select {
		case <-h.Pool(b.Name).Ready():
		case <-ctx.Done():
		}
	}
}

// invite prints what to try.
func (d *demo) invite(h *house.House) {
	for _, f := range d.file.Frontends {
		for _, b := range f.Binds {
			fmt.Fprintf(d.out, "# %s %s\n%s\n", f.Name, b.Address, d.curl(f, b, h))
		}
	}
	if a := d.file.Admin; a != nil {
		fmt.Fprintf(d.out, "# how it is, from another terminal\ngatehouse status --socket %s\n", a.Socket)
	}
	fmt.Fprint(d.out, "# add \"-b jar -c jar\" to keep cookies as a browser does\n")
	fmt.Fprintf(d.out, "# servers: %s; type a name to stop or start one; Ctrl-C ends the demo\n", strings.Join(d.apps.names(), " "))
}

// curl is the command that asks for a page at an address.
func (d *demo) curl(f *frontend.Config, b *frontend.Bind, h *house.House) string {
	at := d.opened[b.Address.String()]
	cmd, scheme, host := "curl -i", "http", at.Addr().String()
	if i := slices.IndexFunc(f.Hosts, func(h string) bool { return !strings.HasPrefix(h, "*") }); i >= 0 {
		host = f.Hosts[i]
		cmd += fmt.Sprintf(" --resolve %s:%d:%s", host, at.Port(), at.Addr())
	}
	if b.TLS != "" {
		scheme = "https"
		if root := h.Certificates(b.TLS).RootFile(); root == "" {
			cmd += " --insecure"
		} else {
			cmd += " --cacert " + root
			if len(f.Hosts) == 0 {
				host = "localhost"
			}
		}
	}
	return fmt.Sprintf("%s %s://%s:%d/", cmd, scheme, host, at.Port())
}

// obey stops and starts servers by the names that come in, to the end of in.
func (d *demo) obey(in io.Reader, talk io.Writer) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if name := strings.TrimSpace(lines.Text()); name != "" {
			fmt.Fprintln(talk, d.apps.toggle(name))
		}
	}
}

// wholeWrites lets several goroutines write lines to one place.
type wholeWrites struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (w *wholeWrites) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.w.Write(b)
}
