package tlsconf

import (
	"slices"
	"sync"

	"go.uber.org/zap/zapcore"
)

// What certmagic says that the Keeper says itself, in words, or that anybody who connects could make it say.
var known = []string{
	"could not get certificate from issuer", "job failed", "will retry", "challenge failed", "validating authorization", "deactivating authorization",
	"tls-alpn challenge", "looking up info for HTTP challenge", "cleaning up solver",
}

// ear is a zapcore.Core that listens to what the libraries say. Their progress is no news: it goes to the log as debug, their errors as
// warnings. What single CAs have said about a name is remembered.
type ear struct {
	zapcore.Core
	heard *heard
}

// heard are the CAs' last words, by host.
type heard struct {
	mu     sync.Mutex
	byHost map[string][]words
}

// words are what one CA has said.
type words struct{ issuer, what string }

// listen puts the ear of a Keeper before its log.
func (k *Keeper) listen(c zapcore.Core) zapcore.Core {
	k.heard = &heard{byHost: map[string][]words{}}
	return &ear{c, k.heard}
}

// With is zapcore.Core's.
func (e *ear) With(f []zapcore.Field) zapcore.Core { return &ear{e.Core.With(f), e.heard} }

// Enabled is zapcore.Core's. Errors are listened to even where nobody reads them.
func (e *ear) Enabled(l zapcore.Level) bool {
	return l >= zapcore.ErrorLevel || e.Core.Enabled(zapcore.DebugLevel)
}

// Check is zapcore.Core's.
func (e *ear) Check(x zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Enabled(x.Level) {
		return c.AddCore(x, e)
	}
	return c
}

// Write is zapcore.Core's.
func (e *ear) Write(x zapcore.Entry, f []zapcore.Field) error {
	if x.Message == "could not get certificate from issuer" {
		e.heard.note(f)
	}
	switch {
	case x.Level < zapcore.ErrorLevel, slices.Contains(known, x.Message):
		x.Level = zapcore.DebugLevel
	default:
		x.Level = zapcore.WarnLevel
	}
	x.Stack = ""
	if e.Core.Enabled(x.Level) {
		return e.Core.Write(x, f)
	}
	return nil
}

// note remembers what a CA has said.
func (h *heard) note(fields []zapcore.Field) {
	var w words
	var host string
	for _, f := range fields {
		switch f.Key {
		case "identifier":
			host = f.String
		case "issuer":
			w.issuer = f.String
		case "error":
			if err, ok := f.Interface.(error); ok {
				w.what = err.Error()
				if p, ok := problemOf(err); ok {
					w.what = p.detail
				}
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byHost[host] = append(h.byHost[host], w)
}

// said returns what CAs have said about a host since it was asked last.
func (k *Keeper) said(host string) []words {
	k.heard.mu.Lock()
	defer k.heard.mu.Unlock()
	w := k.heard.byHost[host]
	delete(k.heard.byHost, host)
	return w
}

var _ zapcore.Core = (*ear)(nil)
