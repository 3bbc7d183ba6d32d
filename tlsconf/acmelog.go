package tlsconf

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

// What certmagic says that the Keeper says itself, in words, or that anybody who connects could make it say.
var known = []string{
	"could not get certificate from issuer", "job failed", "will retry", "challenge failed", "validating authorization", "deactivating authorization",
	"tls-alpn challenge", "looking up info for HTTP challenge", "cleaning up solver",
	"unable to get configuration to manage certificate; unable to renew",
	"unable to get automation config for certificate; maintenance for this certificate will likely fail",
	"final attempt; giving up until next scheduled renewal check finds the certificate still needs renewal",
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
	later  map[string]time.Time // by the host of a CA: before which it does not want to be asked again
}

// words are what one CA has said.
type words struct{ issuer, what string }

// listen puts the ear of a Keeper before its log.
func (k *Keeper) listen(c zapcore.Core) zapcore.Core {
	k.heard = &heard{byHost: map[string][]words{}, later: map[string]time.Time{}}
	return &ear{c, k.heard}
}

// With is zapcore.Core's.
func (e *ear) With(f []zapcore.Field) zapcore.Core { return &ear{e.Core.With(f), e.heard} }

// Enabled is zapcore.Core's. All is listened to, also where nobody reads it.
func (e *ear) Enabled(zapcore.Level) bool { return true }

// Check is zapcore.Core's.
func (e *ear) Check(x zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.AddCore(x, e)
}

// Write is zapcore.Core's.
func (e *ear) Write(x zapcore.Entry, f []zapcore.Field) error {
	switch x.Message {
	case "could not get certificate from issuer":
		e.heard.note(f)
	case "http request":
		e.heard.answered(f)
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

// answered looks for Retry-After in what a CA has answered to a request: the errors of the library do not have it.
func (h *heard) answered(fields []zapcore.Field) {
	var at string
	var status int
	var header http.Header
	for _, f := range fields {
		switch f.Key {
		case "url":
			at = f.String
		case "status_code":
			status = int(f.Integer)
		case "response_headers":
			header, _ = f.Interface.(http.Header)
		}
	}
	if u, err := url.Parse(at); err == nil {
		h.postpone(u.Host, status, header, time.Now())
	}
}

// laterMost is the longest that a CA can put off all its names.
const laterMost = 24 * time.Hour

// postpone remembers that a CA does not want to be asked before some time (RFC 8555 section 6.6, RFC 9110 section 10.2.3).
func (h *heard) postpone(host string, status int, header http.Header, now time.Time) {
	after := header.Get("Retry-After")
	if after == "" || status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable && status != http.StatusForbidden {
		return
	}
	until, err := http.ParseTime(after)
	if seconds, e := strconv.ParseUint(after, 10, 31); e == nil {
		until, err = now.Add(time.Duration(seconds)*time.Second), nil
	}
	if err != nil {
		return
	}
	if most := now.Add(laterMost); until.After(most) {
		until = most
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.later[host] = until
}

// postponed returns the time before which the CA of a directory does not want to be asked again, zero if it has not said so.
func (k *Keeper) postponed(directory string) time.Time {
	u, err := url.Parse(directory)
	if err != nil {
		return time.Time{}
	}
	k.heard.mu.Lock()
	defer k.heard.mu.Unlock()
	return k.heard.later[u.Host]
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
