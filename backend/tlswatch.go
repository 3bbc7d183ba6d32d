package backend

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"
)

// tlsLook is how often the files of a server's tls block are looked at. They change a few times a year, and looking costs some microseconds: no
// need to have the kernel tell.
const tlsLook = 5 * time.Second

// tlsWatch has a server spoken to as the files of its tls block are now. One goroutine uses it.
type tlsWatch struct {
	p    *Pool
	s    *server
	read string // stamp of what is in use, or was found to be of no use
	seen string // stamp at the last look
}

// newTLSWatch makes the watch of files that are about to be read.
func newTLSWatch(p *Pool, s *server) *tlsWatch {
	w := &tlsWatch{p: p, s: s}
	w.read = w.stamp()
	w.seen = w.read
	return w
}

// stamp tells from outside whether the files were changed.
func (w *tlsWatch) stamp() string {
	var b strings.Builder
	for _, path := range w.s.c.TLS.files() {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintf(&b, "%d %d %o;", info.Size(), info.ModTime().UnixNano(), info.Mode())
		} else {
			b.WriteString("-;")
		}
	}
	return b.String()
}

// run looks until ctx ends.
func (w *tlsWatch) run(ctx context.Context) {
	again := time.NewTicker(tlsLook)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			w.look()
		}
	}
}

// look takes up files that have changed and then rested for one look: certificate and key are rarely replaced at once.
func (w *tlsWatch) look() {
	now := w.stamp()
	rested := now == w.seen
	w.seen = now
	if !rested || now == w.read {
		return
	}
	w.read = now
	log := w.p.o.Log.With(zap.String("server", w.p.c.Name+"/"+w.s.c.Name))
	t, err := w.s.c.TLS.client(w.s.c.Address.Host, w.s.c.offers(w.p.c.Mode))
	if err != nil {
		log.Error("the changed files of a server's tls block are not usable; what was read before counts on", zap.Error(err))
		return
	}
	w.s.tls.Store(t) // with no session to resume: whom to trust, and as whom to appear, may be different now
	w.p.closeIdle(w.s)
	log.Info("the changed files of a server's tls block are in use")
}
