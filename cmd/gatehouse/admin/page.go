package admin

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/backend/loop"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"age": func(now, then time.Time) string { return age(now.Sub(then)) }, "left": func(now, then time.Time) string { return left(then.Sub(now)) },
	"moment": moment, "join": func(list []string) string { return strings.Join(list, " ") }, "add": func(a, b uint64) uint64 { return a + b },
	"tone": tone, "mebibytes": mebibytes,
}).Parse(pageText))

// public is what of a status is for everybody who reaches the page: neither the text of the configuration nor where it lies.
func public(s *Status) *Status {
	c := *s
	c.Configuration = slices.Clone(s.Configuration)
	for i, name := range c.Configuration {
		c.Configuration[i] = filepath.Base(name)
	}
	if s.Reload != nil {
		r := *s.Reload
		r.Diagnostics, r.Changes, r.Notes = "", nil, nil
		c.Reload = &r
	}
	return &c
}

// tone is how a server's state is coloured: good, fair or bad.
func tone(s Server) string {
	switch {
	case s.Newcomers:
		return "good"
	case s.Health == "down":
		return "bad"
	}
	return "fair"
}

// Page is the open status page.
type Page struct {
	server *http.Server
	n      net.Listener
}

// OpenPage opens the status page and /metrics on an address. handed is the descriptor of a socket that listens there already, which is the page's from then
// on; 0: there is none. Close it.
func OpenPage(a loop.Addr, handed int, status func() *Status, log *zap.Logger) (*Page, error) {
	n, err := listenPage(a, handed)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err
		}
		return nil, err
	}
	p := &Page{n: n, server: &http.Server{
		Handler: pageHandler(status), ErrorLog: zap.NewStdLog(log),
		ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}}
	go p.server.Serve(n)
	return p, nil
}

func listenPage(a loop.Addr, handed int) (net.Listener, error) {
	if handed == 0 {
		return net.Listen("tcp", net.JoinHostPort(hostOf(a), portOf(a)))
	}
	f := os.NewFile(uintptr(handed), a.String())
	defer f.Close()
	return net.FileListener(f)
}

func hostOf(a loop.Addr) string {
	if !a.Addr().IsValid() {
		return ""
	}
	return a.Addr().String()
}

func portOf(a loop.Addr) string { _, port, _ := net.SplitHostPort(a.AddrPort.String()); return port }

// Addr returns the address, with the port the kernel chose where 0 was asked for.
func (p *Page) Addr() net.Addr { return p.n.Addr() }

// Descriptor returns a further descriptor of the listening socket, for another process to go on with. It is the caller's.
func (p *Page) Descriptor() (*os.File, error) { return p.n.(*net.TCPListener).File() }

// Close closes the page, and lets requests under way end for a moment: who asks while another process takes over is answered.
func (p *Page) Close() { finish(p.server) }

// pageHandler answers what the page's address is asked.
func pageHandler(whole func() *Status) http.Handler {
	status := func() *Status { return public(whole()) }
	m := http.NewServeMux()
	m.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		if err := pageTemplate.Execute(&b, status()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(b.Bytes())
	})
	m.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, status()) })
	m.Handle("GET /metrics", metricsHandler(status))
	return guard(m)
}

// guard lets in who asks for the page itself. Any page in a browser can make it ask here, and with a name of its own that leads here (DNS
// rebinding) could read the answer: so neither is answered.
func guard(next http.Handler) http.Handler {
	self, _ := os.Hostname()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "this page can only be read", http.StatusMethodNotAllowed)
		case !ownHost(r.Host, self):
			http.Error(w, "use the address or the name of this machine", http.StatusForbidden)
		case !ownOrigin(r):
			http.Error(w, "not for other sites", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ownHost reports whether a Host field names this machine in a way no stranger can: by an IP address, as localhost, or by its own name.
func ownHost(host, self string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	host = strings.TrimSuffix(host, ".")
	return strings.EqualFold(host, "localhost") || self != "" && strings.EqualFold(host, self)
}

// ownOrigin reports whether no other site has made the browser ask. A link to the page is all right.
func ownOrigin(r *http.Request) bool {
	if o := r.Header.Get("Origin"); o != "" {
		u, err := url.Parse(o)
		return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "none" || site == "same-origin" || r.Header.Get("Sec-Fetch-Mode") == "navigate"
}
