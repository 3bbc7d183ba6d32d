package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// Process is the running gatehouse, as far as it can be reached from outside. Its functions may be called at once, from any goroutine
// that is no loop's.
type Process struct {
	Status func() *Status
	Reload func() *Outcome
	Obey   func(Order) (*Obeyed, error)
	Purge  func(Purge) (*Purged, error)
	List   func(Listing) (*Listed, error)
	// What is to be said of certificates, and done about them.
	Certificates      func() []Certificate
	Certificate       func(name string) (*CertShown, error)
	Renew             func(Renewal) (*Renewing, error)
	ImportCertificate func(CertImport) (*CertImported, error)
	ExportCertificate func(name string) (*CertPEM, error)
	// HandOver calls give with all that listens. When give returns nil, another process serves in this one's place, which has begun to leave.
	// nil: there is no handing over.
	HandOver func(give func(*Handover) error) error
}

// ErrUnknown is the end of an order for a server, or a cache, that does not exist.
var ErrUnknown = errors.New("unknown")

// Socket is the open admin socket.
type Socket struct {
	server *http.Server
	path   string
	file   fs.FileInfo // of the socket we made
}

const (
	// unborn is added to the name of a socket until nobody else may open it.
	unborn = ".new"
	// maxOrder bounds what a verb may send.
	maxOrder = 64 << 10
	// closeTime is how long a request on the socket may take to end when it closes: the reload that closes it is one.
	closeTime = 2 * time.Second
)

// OpenSocket opens the admin socket. A socket nobody listens on any more is replaced; where somebody does, it fails unless succeeding says that this
// is the process whose place ours has taken. Close it.
func OpenSocket(path string, succeeding bool, p Process, log *zap.Logger) (*Socket, error) {
	if !succeeding {
		if err := inUse(path); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	// A socket is open to whom the umask lets in from the moment it is bound, and changing the umask would concern files that are made
	// elsewhere meanwhile. So it gets its name when its mode is right; nobody knows the first one.
	born := path + unborn
	os.Remove(born)
	n, err := net.ListenUnix("unix", &net.UnixAddr{Name: born, Net: "unix"})
	if err != nil {
		return nil, err
	}
	n.SetUnlinkOnClose(false)
	err = os.Chmod(born, 0o600)
	if err == nil {
		err = os.Rename(born, path)
	}
	var file fs.FileInfo
	if err == nil {
		file, err = os.Lstat(path)
	}
	if err != nil {
		n.Close()
		os.Remove(born)
		return nil, err
	}
	s := &Socket{path: path, file: file, server: &http.Server{
		Handler: p.orders(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(log),
	}}
	go s.server.Serve(n)
	return s, nil
}

// inUse returns an error unless path is free, or that of a socket nobody listens on.
func inUse(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil // whatever it is, binding will say so
	}
	if fi.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("another gatehouse listens on %s", path)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// Path returns where the socket is.
func (s *Socket) Path() string { return s.path }

// Close removes the socket, lets requests under way end for a moment, and closes it.
func (s *Socket) Close() {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.file) {
		os.Remove(s.path)
	}
	s.Leave()
}

// Leave is Close, but for the file: that is from now on another process's, which may put its own socket there at this very moment.
func (s *Socket) Leave() { finish(s.server) }

// finish ends a server when the requests under way have ended, or closeTime is over.
func finish(s *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		s.Close()
	}
}

// orders is what the socket answers. Everything is JSON.
func (p Process) orders() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, p.Status()) })
	m.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, p.Reload()) })
	m.HandleFunc("POST /server", func(w http.ResponseWriter, r *http.Request) {
		var o Order
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&o); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		done, err := p.Obey(o)
		switch {
		case errors.Is(err, ErrUnknown):
			refuse(w, http.StatusNotFound, err)
		case err != nil:
			refuse(w, http.StatusUnprocessableEntity, err)
		default:
			reply(w, http.StatusOK, done)
		}
	})
	m.HandleFunc("POST /cache/list", p.list)
	m.HandleFunc("POST /cache", func(w http.ResponseWriter, r *http.Request) {
		var o Purge
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&o)
		if err == nil {
			err = o.Check()
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		done, err := p.Purge(o)
		switch {
		case errors.Is(err, ErrUnknown):
			refuse(w, http.StatusNotFound, err)
		case err != nil:
			refuse(w, http.StatusUnprocessableEntity, err)
		default:
			reply(w, http.StatusOK, done)
		}
	})
	p.certOrders(m)
	m.HandleFunc("POST /takeover", p.handOver)
	return m
}

// list answers what caches remember.
func (p Process) list(w http.ResponseWriter, r *http.Request) {
	var o Listing
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&o)
	if err == nil {
		err = o.Check()
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	list, err := p.List(o)
	if err != nil {
		refuse(w, http.StatusNotFound, err)
		return
	}
	reply(w, http.StatusOK, list)
}

// refusal is what is said in the place of an answer.
type refusal struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, status int, err error) { reply(w, status, refusal{err.Error()}) }

func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // our own types
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}
